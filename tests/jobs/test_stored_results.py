"""Results used again: for the same request of the same client that says so, at no cost, and never what is not whole."""

import base64
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import orjson
import pytest
from django.test import Client as HttpClient
from django.utils import timezone

from catalog.models import AIModel, Provider
from genfeed.clients.keys import Caller, create_key
from genfeed.clients.models import Client
from genfeed.clients.provider_keys import OwnKey
from genfeed.journal.audit import SYSTEM
from genfeed.journal.models import AuditEvent, OutboxEvent
from genfeed.sandbox.media.making import Wish, make
from jobs.accepting import accept as accepting
from jobs.accepting.accept import Wanted, accept
from jobs.assets.models import Asset
from jobs.assets.retention import erase_client
from jobs.batches.accepting import WantedBatch, accept_batch
from jobs.batches.rendering import render_batch
from jobs.ending.finishing import fail, finish
from jobs.failures import NO_MEDIA
from jobs.models import Job, Status
from jobs.rendering import render_job
from jobs.webhooks.fan_out import fan_out
from jobs.webhooks.models import WebhookMessage
from pricing.ledger.checking import check_ledger
from pricing.models import Account, Hold, LedgerTransaction, UsageRecord
from tests.jobs.doubles import OUTPUT, PRICE, USD, make_caller, result, set_job
from tests.pricing.estimates.sold import IMAGE_URL, IMAGES_OUT, PROMPT, field, make_sold

pytestmark = pytest.mark.django_db
SEED = field("seed", "integer")
COUNT = field("num_images", "integer", default=1)


@pytest.fixture
def caller() -> Caller:
    make_sold(inputs=[PROMPT, SEED, COUNT], outputs=IMAGES_OUT)
    return make_caller()


def ask(caller: Caller, cache: Any = "seed", **columns: Any) -> Job:
    given = {"prompt": "a fox", "seed": 7, **columns.pop("input", {})}
    return accept(Wanted("fal-ai/flux/dev", given, cache=cache, **columns), caller)


def done(job: Job, output: Any = OUTPUT, **asset: Any) -> Job:
    """Its end with this output, and its files here."""
    set_job(job, status=Status.SUBMITTED)
    assert finish(job, result(output))
    Asset.objects.filter(job=job).update(**{"state": "stored", "storage_name": f"{job.pk}.png", **asset})
    return job


@pytest.fixture
def stored(caller: Caller) -> Job:
    return done(ask(caller))


# --- a hit ---


def test_the_same_request_is_answered_at_once_and_for_nothing(caller: Caller, stored: Job) -> None:
    before = Account.objects.get().available

    job = ask(caller)

    assert (job.status, job.is_cached, job.charge, job.cost) == (Status.SUCCEEDED, True, 0, 0)
    assert job.pk != stored.pk
    assert Account.objects.get().available == before
    assert not Hold.objects.filter(job=job.pk).exists()
    assert not LedgerTransaction.objects.filter(job=job.pk).exists()
    assert check_ledger() == []


@pytest.mark.once
def test_it_shows_the_same_output_and_files_and_says_that_it_is_cached(caller: Caller, stored: Job) -> None:
    shown = render_job(ask(caller), shows_cost=False)
    first = render_job(stored, shows_cost=False)

    assert (shown["cached"], shown["charge"], first["cached"]) == (True, "0", False)
    assert [asset["id"] for asset in shown["assets"]] == [asset["id"] for asset in first["assets"]]
    assert "/assets/ast_" in shown["output"]["images"][0]["url"]


@pytest.mark.once
def test_it_has_events_of_its_own_and_its_webhook_is_told(caller: Caller, stored: Job) -> None:
    job = ask(caller, webhook_url="https://example.com/hook")

    assert [(event.number, event.kind) for event in job.events.order_by("number")] == [
        (1, "job_queued"),
        (2, "job_succeeded"),
    ]
    while fan_out():
        pass
    told = WebhookMessage.objects.get(subject=job.pk)
    body = orjson.loads(told.body)
    assert (told.kind, body["data"]["cached"], body["data"]["status"]) == ("job.succeeded", True, "succeeded")


@pytest.mark.once
def test_its_usage_record_is_a_cache_hit(caller: Caller, stored: Job) -> None:
    job = ask(caller)

    record = UsageRecord.objects.get(job=job.pk)
    assert (record.is_cached, record.cost, record.charge, record.outcome) == (True, 0, 0, "succeeded")


def test_a_share_of_the_price_is_charged_where_the_operator_says_so(caller: Caller, stored: Job, settings: Any) -> None:
    settings.CACHE_PRICE_PERCENT = 10

    job = ask(caller)

    share = round(PRICE / 10)
    assert job.charge == share
    account = Account.objects.get()
    assert (account.spent, account.held) == (PRICE + share, 0)
    assert UsageRecord.objects.get(job=job.pk).charge == share
    assert check_ledger() == []


def test_a_share_that_is_not_there_refuses_and_leaves_nothing(caller: Caller, stored: Job, settings: Any) -> None:
    settings.CACHE_PRICE_PERCENT = 10
    Account.objects.update(available=0, funded=PRICE)

    with pytest.raises(Exception, match="reserved"):
        ask(caller)

    assert Job.objects.count() == 1


@pytest.mark.once
def test_defaults_and_the_order_of_fields_make_no_difference(caller: Caller, stored: Job) -> None:
    given = {"num_images": 1, "seed": 7, "prompt": "a fox"}

    assert accept(Wanted("fal-ai/flux/dev", given, cache="seed"), caller).is_cached


@pytest.mark.once
def test_without_a_fixed_seed_only_who_says_so_gets_a_stored_result(caller: Caller) -> None:
    given: dict[str, Any] = {"prompt": "a fox"}

    def once(cache: Any) -> Job:
        return accept(Wanted("fal-ai/flux/dev", given, cache=cache), caller)

    done(once("any_seed"))

    assert (once("seed").is_cached, once("any_seed").is_cached) == (False, True)


# --- no hit ---


@pytest.mark.once
@pytest.mark.parametrize("more", [{"input": {"prompt": "an owl"}}, {"input": {"seed": 8}}, {"cache": ""}])
def test_another_request_is_run(caller: Caller, stored: Job, more: Any) -> None:
    assert not ask(caller, **more).is_cached


def test_a_result_whose_request_did_not_ask_for_it_is_not_used_again(caller: Caller) -> None:
    done(ask(caller, cache=""))

    assert not ask(caller).is_cached


def test_another_clients_result_is_never_used(caller: Caller, stored: Job) -> None:
    assert not ask(make_caller(name="Beta")).is_cached


def test_a_result_of_another_schema_version_or_model_is_not_used(caller: Caller, stored: Job) -> None:
    set_job(stored, cache_digest="0" * 64)
    assert not ask(caller).is_cached

    from jobs.accepting.stored_results import result_digest
    from pricing.estimates.facts import facts_of

    facts = facts_of(AIModel.objects.get().pk)
    digests = {
        result_digest(client, one, {"a": 1})
        for client in (1, 2)
        for one in (facts, _with(facts, schema_version=9), _with(facts, pk=facts.pk + 1))
    }
    assert len(digests) == 6


def _with(facts: Any, **columns: Any) -> Any:
    from dataclasses import replace

    return replace(facts, **columns)


@pytest.mark.parametrize(
    ("output", "asset"),
    [
        ({"images": []}, {}),
        ({**OUTPUT, "has_nsfw_concepts": [True]}, {}),
        (OUTPUT, {"is_nsfw": True}),
        (OUTPUT, {"state": "expired"}),
        (OUTPUT, {"state": "pending"}),
        (OUTPUT, {"state": "failed"}),
        (OUTPUT, {"state": "refused"}),
    ],
)
def test_what_is_not_whole_or_flagged_or_gone_is_not_used(caller: Caller, output: Any, asset: Any) -> None:
    job = set_job(ask(caller), status=Status.SUBMITTED)
    finish(job, result(output))
    Asset.objects.filter(job=job).update(**{"state": "stored", **asset})

    assert not ask(caller).is_cached


@pytest.mark.once
def test_fewer_outputs_than_asked_for_are_not_used(caller: Caller) -> None:
    done(ask(caller, input={"num_images": 2}))

    assert not ask(caller, input={"num_images": 2}).is_cached


@pytest.mark.once
def test_what_failed_is_not_used(caller: Caller) -> None:
    job = set_job(ask(caller), status=Status.SUBMITTED)
    fail(job, NO_MEDIA)

    assert not ask(caller).is_cached


def test_a_result_is_used_for_as_long_as_the_setting_says(caller: Caller, stored: Job, settings: Any) -> None:
    settings.CACHE_RESULT_SECONDS = 100
    set_job(stored, finished_at=timezone.now() - timedelta(seconds=101))
    assert not ask(caller).is_cached

    set_job(stored, finished_at=timezone.now() - timedelta(seconds=99))
    assert ask(caller).is_cached
    settings.CACHE_RESULT_SECONDS = 0
    assert not ask(caller).is_cached


def test_a_hit_is_no_source_so_that_no_result_outlives_its_time(caller: Caller, stored: Job) -> None:
    ask(caller)
    set_job(stored, finished_at=timezone.now() - timedelta(days=8))

    assert not ask(caller).is_cached


@pytest.mark.once
def test_clients_and_providers_can_be_excluded(caller: Caller, stored: Job) -> None:
    Provider.objects.update(enable_caching=False)
    assert not ask(caller).is_cached

    Provider.objects.update(enable_caching=True)
    Client.objects.update(enable_caching=False)
    assert not ask(make_caller()).is_cached


def test_an_erased_result_is_gone_with_every_job_that_shows_it(caller: Caller, stored: Job) -> None:
    job = ask(caller)

    erase_client(Client.objects.get(), actor=SYSTEM)

    job.refresh_from_db()
    stored.refresh_from_db()
    assert (job.output, stored.output, stored.cache_digest) == (None, None, None)


def test_when_the_files_expire_the_jobs_that_show_them_have_none(caller: Caller, stored: Job) -> None:
    job = ask(caller)
    Asset.objects.update(state="expired")

    assert render_job(job, shows_cost=False)["output"]["images"][0]["url"] is None


# --- over HTTP, in batches, in the admin ---


@pytest.fixture
def http(caller: Caller) -> HttpClient:
    client = Client.objects.get(pk=caller.client_id)
    _, text = create_key(client, actor=SYSTEM, scopes=["jobs:write", "jobs:read"])
    return HttpClient(headers={"Authorization": f"Bearer {text}"})


@pytest.mark.once
@pytest.mark.parametrize(
    ("cache", "status", "cached"), [(True, 201, True), ("any_seed", 201, True), (False, 201, False), ("yes", 400, None)]
)
def test_a_stored_result_is_asked_for_by_one_word(
    http: HttpClient, stored: Job, cache: Any, status: int, cached: bool | None
) -> None:
    body = {"model": "fal-ai/flux/dev", "input": {"prompt": "a fox", "seed": 7}, "cache": cache}

    answer = http.post("/api/v1/jobs", orjson.dumps(body), content_type="application/json")

    assert (answer.status_code, answer.json().get("cached")) == (status, cached)
    if cached:
        assert answer.json()["output"]["images"][0]["url"].startswith("http")


def test_items_of_a_batch_are_answered_from_stored_results_too(caller: Caller, stored: Job) -> None:
    known = Wanted("fal-ai/flux/dev", {"prompt": "a fox", "seed": 7}, cache="seed")
    new = Wanted("fal-ai/flux/dev", {"prompt": "an owl", "seed": 7}, cache="seed")

    batch = accept_batch(WantedBatch([known, new]), caller)

    assert list(Job.objects.filter(batch=batch).order_by("batch_index").values_list("is_cached", "status")) == [
        (True, "succeeded"),
        (False, "queued"),
    ]
    assert render_batch(batch)["charge"] == "0"
    assert check_ledger() == []


@pytest.mark.once
def test_no_own_key_is_kept_with_what_a_stored_result_answers(
    caller: Caller, stored: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = OwnKey("request", "f" * 16, "4711", "sealed")
    monkeypatch.setattr(accepting, "choose_key", lambda *_: key)
    known = Wanted("fal-ai/flux/dev", {"prompt": "a fox", "seed": 7}, cache="seed")

    accept(known, caller)
    accept_batch(WantedBatch([known]), caller)

    told = Job.objects.filter(is_cached=True).values_list("own_key", "key_hint")
    assert list(told) == [("", "4711")] * 2


@pytest.mark.once
def test_what_a_stored_result_answers_keeps_no_file_that_came_inside_of_its_request(caller: Caller) -> None:
    make_sold("fal-ai/edit", "0.03", "images", inputs=[PROMPT, IMAGE_URL], outputs=IMAGES_OUT)
    picture = make(Wish(kind="png", seed="a", width=64, height=64))
    uri = f"data:image/png;base64,{base64.b64encode(picture).decode()}"
    known = Wanted("fal-ai/edit", {"prompt": "a fox", "image_url": uri}, cache="any_seed")
    first = done(accept(known, caller))

    accept(known, caller)
    accept_batch(WantedBatch([known]), caller)

    told = Job.objects.filter(is_cached=True).values_list("input__image_url", "input_digest")
    assert list(told) == [(first.input["image_url"], first.input_digest)] * 2
    assert first.input["image_url"].startswith("asset:")


def test_a_batch_of_nothing_but_stored_results_ends_at_once(caller: Caller, stored: Job) -> None:
    known = Wanted("fal-ai/flux/dev", {"prompt": "a fox", "seed": 7}, cache="seed")

    batch = accept_batch(WantedBatch([known, known], mode="all_or_nothing"), caller)

    assert batch.status == "completed"
    assert OutboxEvent.objects.filter(kind="batch.completed").count() == 1
    assert Account.objects.get().available == 10 * USD - PRICE


@pytest.mark.once
@pytest.mark.parametrize(("role", "may"), [("viewer", False), ("catalog manager", True)])
def test_stored_results_of_a_provider_are_switched_off_by_those_who_may(
    staff: Callable[[str], HttpClient], caller: Caller, role: str, may: bool
) -> None:
    provider = Provider.objects.get(slug="fal")

    answer = staff(role).post(f"/admin/catalog/provider/{provider.pk}/caching/", {"enable_caching": "off"})

    provider.refresh_from_db()
    assert (answer.status_code, provider.enable_caching) == ((302, False) if may else (403, True))
    assert AuditEvent.objects.filter(action="provider.caching_switched").count() == int(may)
