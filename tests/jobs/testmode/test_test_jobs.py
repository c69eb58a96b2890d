"""What a test key runs is free, runs on the sandbox, and is seen by nobody but test keys."""

import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from decimal import Decimal
from io import StringIO
from typing import Any

import orjson
import pytest
from django.core.management import call_command
from django.test import Client as HttpClient
from django.utils import timezone

from catalog.models import AIModel
from catalog.providers.replicate_schemas import document_of
from genfeed.clients.keys import Caller, create_key
from genfeed.clients.models import Client
from genfeed.clients.sides import side_for_tests
from genfeed.journal.audit import SYSTEM
from genfeed.journal.models import Alert, OutboxEvent
from jobs.accepting.accept import Wanted, accept
from jobs.assets.models import Asset
from jobs.assets.retention import erase_client
from jobs.assets.storage import storage
from jobs.dispatching import standing
from jobs.dispatching.dispatcher import Dispatcher
from jobs.events.rendering import render_client_event
from jobs.fallback.accepting import Alternative, accept_with_fallback
from jobs.models import Batch, Job, JobEvent, ProviderGate, Status, WebhookDelivery
from jobs.testmode.clean_up import forget_tests
from jobs.webhooks.fan_out import fan_out
from pricing.ledger.checking import check_ledger
from pricing.models import Account, LedgerTransaction, UsageRecord
from pricing.reports import refusals
from tests.admin.pages import links_of
from tests.jobs.doubles import PRICE, USD, Provider, submit
from tests.jobs.testmode.conftest import MODEL, with_document
from tests.pricing.estimates.sold import IMAGES_OUT, PROMPT, make_sold
from tests.pricing.selling.priced import add_rule
from tests.sandbox_server import ROOT, RunningSandbox

pytestmark = pytest.mark.django_db
Api = Callable[[bool], HttpClient]
FOX: dict[str, Any] = {"model": MODEL, "input": {"prompt": "a fox"}}


@pytest.fixture
def dispatcher() -> Iterator[Dispatcher]:
    one = Dispatcher(threads=4)
    yield one
    one.drain()


@pytest.fixture
def finish(dispatcher: Dispatcher) -> Callable[[str], Job]:
    """Works until a job has ended and its files are here."""

    def work(job_id: str) -> Job:
        for _ in range(500):
            Job.objects.filter(pk=job_id, status__in=("submitted", "running")).update(next_at=timezone.now())
            dispatcher.until_quiet()
            job = Job.objects.get(pk=job_id)
            if job.has_ended:
                return job
            dispatcher._wait(0.02)
        raise AssertionError(f"{job_id} is {job.status}")

    return work


def post(client: HttpClient, path: str = "/jobs", body: Any = FOX, status: int = 201, **headers: str) -> Any:
    answer = client.post(f"/api/v1{path}", orjson.dumps(body), content_type="application/json", headers=headers)
    assert answer.status_code == status, answer.content
    return orjson.loads(answer.content)


def get(client: HttpClient, path: str, status: int = 200) -> Any:
    answer = client.get(f"/api/v1{path}")
    assert answer.status_code == status, answer.content
    return orjson.loads(answer.content)


@pytest.mark.once
def test_the_example_of_the_documentation_works(api: Api, finish: Any) -> None:
    text = (ROOT / "docs" / "test-mode.md").read_text()
    ((path, body),) = re.findall(r"curl -X POST \S+/api/v1(\S+) .*?-d '(.*?)'", text, re.DOTALL)

    job = finish(post(api(True), path, orjson.loads(body))["id"])

    assert job.error["code"] == "content_refused"


@pytest.mark.once
def test_a_test_job_runs_on_the_sandbox_and_its_file_is_stored(api: Api, finish: Any) -> None:
    accepted = post(api(True))
    job = finish(accepted["id"])

    shown = get(api(True), f"/jobs/{job.pk}")
    assert (accepted["livemode"], shown["livemode"], shown["status"]) == (False, False, "succeeded")
    assert [(one["state"], one["kind"], one["livemode"]) for one in shown["assets"]] == [("stored", "image", False)]
    assert shown["output"]["images"][0]["url"] == shown["assets"][0]["url"]


def test_no_money_moves_and_what_it_would_be_is_shown(api: Api, acme: Client, finish: Any) -> None:
    before = Account.objects.values("available", "held", "spent", "funded").get(client=acme)
    accepted = post(api(True))
    job = finish(accepted["id"])

    assert accepted["quote"]["price"] == "0.083333333"
    assert get(api(True), f"/jobs/{job.pk}")["charge"] == "0.083333333"
    assert Account.objects.values("available", "held", "spent", "funded").get(client=acme) == before
    moved = LedgerTransaction.objects.exclude(kind="top_up").exclude(available=0, held=0, spent=0, cost=0, loss=0)
    assert (moved.count(), check_ledger()) == (0, [])


@pytest.mark.once
def test_a_client_without_money_can_test(api: Api, acme: Client) -> None:
    Account.objects.filter(client=acme).update(available=0, funded=0)

    post(api(False), status=503)
    assert post(api(True))["status"] == "queued"


def test_nothing_that_reports_or_learns_knows_of_it(api: Api, finish: Any, dispatcher: Dispatcher) -> None:
    job = finish(post(api(True))["id"])
    post(api(True))

    assert job.status == Status.SUCCEEDED
    assert not UsageRecord.objects.exists()
    assert (standing.today()["all"], standing.open_counts()["queued"], standing.by_client()) == (0, 0, [])
    assert get(api(False), "/usage")["total"]["jobs"] == 0


def test_usage_of_a_test_key_is_what_its_jobs_would_have_been_charged(api: Api, finish: Any, settings: Any) -> None:
    settings.CACHE_PRICE_PERCENT = Decimal(50)
    finish(post(api(True), body={**FOX, "cache": "any_seed"})["id"])
    assert post(api(True), body={**FOX, "cache": "any_seed"})["cached"] is True
    finish(post(api(True), body={**FOX, "metadata": {"test": "fail:timeout"}})["id"])

    shown = get(api(True), "/usage?group_by=model,outcome")

    lines = [(one["model"], one["outcome"], one["jobs"], one["charge"]) for one in shown["items"]]
    assert lines == [(MODEL, "failed", 1, "0"), (MODEL, "succeeded", 2, "0.125")]
    assert (shown["livemode"], shown["total"]["charge"]) == (False, "0.125")
    assert (get(api(False), "/usage")["livemode"], get(api(False), "/usage")["items"]) == (True, [])


@pytest.mark.once
def test_the_prices_are_those_of_the_client(api: Api, acme: Client) -> None:
    add_rule("client", client_id=acme.pk, mode="fixed", fixed_price="0.5")

    assert post(api(True))["quote"]["price"] == "0.5"
    assert post(api(True), "/estimates", FOX, 200)["price"] == "0.5"
    assert get(api(True), f"/models/{MODEL}")["price"] == get(api(False), f"/models/{MODEL}")["price"]


def test_neither_mode_sees_what_the_other_did(api: Api, tester: Caller, settings: Any) -> None:
    settings.FAL_KEY = "key"
    made = {is_test: post(api(is_test)) for is_test in (False, True)}
    batches = {is_test: post(api(is_test), "/batches", {"items": [FOX]}) for is_test in (False, True)}
    end = {"url": "https://example.com/hook", "events": ["*"]}
    ends = {is_test: post(api(is_test), "/webhook-endpoints", end) for is_test in (False, True)}

    for is_test in (False, True):
        client, other = api(is_test), made[not is_test]["id"]
        assert {one["livemode"] for one in get(client, "/jobs")["items"]} == {not is_test}
        assert [one["livemode"] for one in get(client, "/batches")["items"]] == [not is_test]
        assert [one["id"] for one in get(client, "/webhook-endpoints")["items"]] == [ends[is_test]["id"]]
        for path in (f"/jobs/{other}", f"/jobs/{other}/events", f"/batches/{batches[not is_test]['id']}"):
            get(client, path, 404)
        for path in (f"/jobs/{other}/cancel", f"/webhook-endpoints/{ends[not is_test]['id']}/test"):
            post(client, path, {}, 404)
        get(client, f"/webhook-endpoints/{ends[not is_test]['id']}", 404)


def test_files_belong_to_one_mode(api: Api, finish: Any) -> None:
    job = finish(post(api(True))["id"])
    asset = Asset.objects.get(job=job)

    get(api(True), f"/assets/{asset.pk}")
    get(api(False), f"/assets/{asset.pk}", 404)
    assert get(api(False), "/assets")["items"] == []


def test_the_same_idempotency_key_means_two_requests_in_two_modes(api: Api, settings: Any) -> None:
    settings.FAL_KEY = "key"
    keyed = {"Idempotency-Key": "order-7"}

    ids = [post(api(is_test), **keyed)["id"] for is_test in (False, True, False, True)]

    assert ids[0] == ids[2] != ids[1] == ids[3]


def test_each_mode_has_its_own_places(api: Api, acme: Client, settings: Any) -> None:
    settings.FAL_KEY = "key"
    acme.max_in_flight, acme.max_queued = 1, 0
    acme.save()
    client, tester = api(False), api(True)

    post(tester)
    assert post(tester, status=429)["code"] == "too_many_in_flight"
    post(client)


@pytest.mark.once
def test_a_throttled_test_key_is_in_no_report(api: Api, acme: Client) -> None:
    acme.max_in_flight = acme.max_queued = 0
    acme.save()

    post(api(True), status=429)

    assert refusals._counts == {}


@pytest.mark.once
def test_events_and_webhooks_say_their_mode_and_go_to_endpoints_of_it(api: Api, acme: Client, finish: Any) -> None:
    post(api(False), "/webhook-endpoints", {"url": "https://example.com/live", "events": ["job.*"]})
    post(api(True), "/webhook-endpoints", {"url": "https://example.com/test", "events": ["job.*"]})
    job = finish(post(api(True))["id"])
    fan_out()

    told = WebhookDelivery.objects.select_related("message").exclude(message__kind="webhook.test")
    assert {(one.url, orjson.loads(one.message.body)["livemode"]) for one in told} == {
        ("https://example.com/test", False)
    }
    assert {one["livemode"] for one in get(api(True), f"/jobs/{job.pk}/events")["items"]} == {False}
    of_client = [render_client_event(row, None) for row in OutboxEvent.objects.filter(client_id=job.client_id)]
    assert {(one["livemode"], "livemode" in one["data"]) for one in of_client} == {(False, False)}
    assert not OutboxEvent.objects.filter(client_id=acme.pk).exists()


@pytest.mark.once
def test_webhooks_of_single_jobs_are_signed_with_a_secret_of_their_mode(api: Api) -> None:
    assert get(api(False), "/webhook-secret")["secret"] != get(api(True), "/webhook-secret")["secret"]


@pytest.mark.once
def test_a_balance_is_not_asked_of_a_test_key(api: Api) -> None:
    assert (get(api(True), "/balance")["enforced"], get(api(False), "/balance")["enforced"]) == (False, True)


@pytest.mark.once
def test_a_test_key_sees_and_manages_the_clients_keys(api: Api) -> None:
    made = post(api(True), "/keys", {"name": "one more", "scopes": ["jobs:read"]})

    assert made["is_test"] is True
    assert {one["is_test"] for one in get(api(False), "/keys")["items"]} == {True, False}


@pytest.mark.once
def test_without_a_sandbox_the_answer_says_what_to_do(api: Api, settings: Any) -> None:
    settings.TEST_SANDBOX_URL = ""

    refused = post(api(True), status=503)

    assert refused["code"] == "not_configured"
    assert "TEST_SANDBOX_URL" in refused["hint"]
    assert post(api(True), "/estimates", FOX, 200)["price"]


@pytest.mark.once
def test_a_sandbox_that_is_away_stops_no_live_job(
    tester: Caller, acme: Client, settings: Any, dispatcher: Dispatcher
) -> None:
    settings.TEST_SANDBOX_URL = "http://127.0.0.1:9"
    for _ in range(5):
        accept(Wanted(**FOX), tester)
    dispatcher.until_quiet()

    assert [gate.name for gate in ProviderGate.objects.all()] == ["test-sandbox"]
    assert ProviderGate.objects.get().failures >= 1
    assert not Alert.objects.filter(subject="fal").exists()
    assert {gate.provider: gate.state for gate in standing.gates()}["fal"] == "closed"


@pytest.mark.once
def test_a_live_key_goes_to_the_provider_whatever_its_metadata_say(acme: Client, api: Api, settings: Any) -> None:
    settings.FAL_KEY = "key"
    accepted = post(api(False), body={**FOX, "metadata": {"test": "fail:timeout"}})

    job = submit(Provider(), Job.objects.get(pk=accepted["id"]))

    assert (accepted["livemode"], job.status) == (True, Status.SUBMITTED)


@pytest.mark.once
def test_it_works_in_core_mode_without_any_key_of_a_provider(api: Api, finish: Any, settings: Any) -> None:
    settings.GENFEED_MODE = "core"

    assert finish(post(api(True))["id"]).status == Status.SUCCEEDED


@pytest.mark.once
def test_a_model_of_another_provider_runs_too(tester: Caller, finish: Any, model: AIModel, settings: Any) -> None:
    cog = {
        "components": {
            "schemas": {
                "Input": {"type": "object", "properties": {"prompt": {"type": "string"}}},
                "Output": {"type": "array", "items": {"type": "string", "format": "uri"}},
            }
        }
    }
    document = document_of("owner/thing", cog, "image")
    assert document is not None
    output = {"name": "output", "type": "array", "required": True, "nullable": False, "media": "image"}
    sold = make_sold("owner/thing", inputs=[PROMPT], outputs=[output], provider="replicate", category="text-to-image")
    with_document(sold, document)

    job = finish(accept(Wanted(model="owner/thing", input={"prompt": "a fox"}), tester).pk)

    assert (job.status, job.error) == (Status.SUCCEEDED, None)
    assert [asset.kind for asset in Asset.objects.filter(job=job)] == ["image"]


@pytest.mark.once
def test_an_alternative_runs_where_the_model_is_told_to_be_retired(
    tester: Caller, finish: Any, model: AIModel, fal: RunningSandbox
) -> None:
    other = "fal-ai/flux/schnell"
    with_document(make_sold(other, "0.003", inputs=[PROMPT], outputs=IMAGES_OUT), fal.model(other)["openapi"])
    wanted = Wanted(MODEL, {"prompt": "a fox"}, metadata={"test": "fail:model_retired"})

    job = finish(accept_with_fallback(wanted, [Alternative(other)], tester).pk)

    assert (job.status, job.endpoint_id, job.charge) == (Status.SUCCEEDED, other, 10_000_000)
    assert check_ledger() == []


@pytest.mark.once
def test_a_job_of_fals_protocol_is_a_test_job_too(api: Api, finish: Any) -> None:
    body = orjson.dumps({"prompt": "a fox [test: webhook:lost]"})
    url = f"/fal/queue/{MODEL}?fal_webhook=https://example.com/hook"

    answer = api(True).post(url, body, content_type="application/json")
    job = finish(orjson.loads(answer.content)["request_id"])
    fan_out()

    assert (job.status, job.account, UsageRecord.objects.count()) == (Status.SUCCEEDED, "test", 0)
    assert not WebhookDelivery.objects.exists()


@pytest.mark.once
def test_the_files_of_an_input_are_brought_to_the_sandbox(
    api: Api, finish: Any, fal: RunningSandbox, settings: Any
) -> None:
    finish(post(api(True))["id"])
    mine = Asset.objects.get()
    body = {"model": MODEL, "input": {"prompt": f"asset:{mine.pk}"}}

    job = finish(post(api(True), body=body)["id"])

    settings.FAL_KEY = "key"
    assert job.input["prompt"].startswith(fal.base_url)
    assert post(api(False), body=body, status=422)["code"] == "invalid_input"


@pytest.mark.once
def test_a_stored_result_of_one_mode_answers_no_request_of_the_other(api: Api, finish: Any, settings: Any) -> None:
    body = {**FOX, "cache": "any_seed"}
    finish(post(api(True), body=body)["id"])

    settings.FAL_KEY = "key"
    assert post(api(True), body=body)["cached"] is True
    assert post(api(False), body=body)["cached"] is False
    assert not UsageRecord.objects.exists()


@pytest.mark.once
def test_batches_are_free_and_end(api: Api, finish: Any) -> None:
    batch = post(api(True), "/batches", {"items": [FOX, FOX]})
    for job in Job.objects.all():
        finish(job.pk)

    shown = get(api(True), f"/batches/{batch['id']}")
    assert (shown["status"], shown["livemode"], shown["charge"]) == ("completed", False, "0.166666666")
    assert check_ledger() == []


def test_test_data_is_forgotten_after_its_days(api: Api, finish: Any, settings: Any) -> None:
    settings.FAL_KEY = "key"
    live = post(api(False))["id"]
    batch = post(api(True), "/batches", {"items": [FOX]})
    job = finish(Job.objects.get(batch=batch["id"]).pk)
    file = Asset.objects.get(job=job)
    tomorrow, later = (timezone.now() + timedelta(days=days) for days in (1, settings.TEST_DATA_DAYS + 1))

    assert forget_tests(now=tomorrow) == 0
    assert forget_tests(now=later) == 1

    assert [one.pk for one in Job.objects.all()] == [live]
    assert not Asset.objects.exists() and not Batch.objects.exists()  # noqa: PT018
    assert not JobEvent.objects.exclude(job=live).exists()
    assert not storage().exists(file.storage_name)
    assert get(api(True), "/usage")["total"]["jobs"] == 0
    assert check_ledger() == []


def test_erasing_a_client_erases_its_test_side(api: Api, acme: Client, finish: Any) -> None:
    job = finish(post(api(True))["id"])

    told = erase_client(acme, actor=SYSTEM)

    job.refresh_from_db()
    assert (told["jobs"], told["files"], job.input, job.output) == (1, 1, {}, None)
    assert not Client.objects.filter(is_active=True).exists()


@pytest.mark.once
def test_a_client_can_t_be_erased_while_its_test_jobs_run(api: Api, acme: Client) -> None:
    post(api(True))

    with pytest.raises(Exception, match="have not ended"):
        erase_client(acme, actor=SYSTEM)

    acme.refresh_from_db()
    assert acme.is_active


@pytest.mark.once
def test_the_test_side_has_the_clients_terms_and_stands_in_no_list_of_clients(
    acme: Client, staff: Callable[[str], HttpClient]
) -> None:
    side = side_for_tests(acme)
    acme.name, acme.denied_models, acme.is_active = "Ajax", ["a/*"], False
    acme.save()

    side.refresh_from_db()
    assert (side.denied_models, side.is_active, str(side)) == (["a/*"], False, "Ajax (test)")
    assert "Ajax (test)" not in staff("superuser").get("/admin/clients/client/").content.decode()


@pytest.mark.once
@pytest.mark.parametrize("address", ["/admin/clients/client/{}/change/", "/admin/pricing/account/of-client/{}/"])
def test_the_address_of_a_test_side_leads_to_its_client(
    acme: Client, staff: Callable[[str], HttpClient], address: str
) -> None:
    side = side_for_tests(acme)

    answer = staff("superuser").get(address.format(side.pk), follow=True)

    assert answer.status_code == 200
    assert f"/admin/clients/client/{acme.pk}/change/" in {answer.request["PATH_INFO"], *links_of(answer)}


def test_a_test_side_takes_no_name_that_a_client_has(acme: Client) -> None:
    Client.objects.create(name="acme (TEST)")

    assert str(side_for_tests(acme)) == f"Acme (test {acme.pk})"


@pytest.mark.once
def test_a_key_is_never_made_for_a_test_side(acme: Client) -> None:
    out = StringIO()
    side_for_tests(acme)

    call_command("create_client", "Acme", "--test", "--json", stdout=out)

    assert Client.objects.get(api_keys__isnull=False) == acme
    side = side_for_tests(acme)
    with pytest.raises(ValueError, match="test side"):
        create_key(side, actor=SYSTEM)


@pytest.mark.once
def test_staff_see_test_jobs_apart(api: Api, settings: Any, staff: Callable[[str], HttpClient]) -> None:
    settings.FAL_KEY = "key"
    live, test = post(api(False))["id"], post(api(True))["id"]
    admin = staff("superuser")

    def shown(query: str) -> set[str]:
        page = admin.get(f"/admin/jobs/job/{query}").content.decode()
        return {job for job in (live, test) if job in page}

    assert (shown(""), shown("?mode=live"), shown("?mode=test")) == ({live, test}, {live}, {test})
    page = admin.get(f"/admin/jobs/job/{test}/change/").content.decode()
    assert 'data-testid="job-test"' in page


@pytest.mark.once
def test_a_live_job_and_its_price_are_what_they_were(acme: Client, api: Api, settings: Any) -> None:
    settings.FAL_KEY = "key"

    post(api(False))

    assert Account.objects.values_list("available", "held").get(client=acme) == (10 * USD - PRICE, PRICE)
