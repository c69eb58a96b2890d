"""What becomes of a batch: its items end in any order, one failing stops nothing, and its end is told once."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connections
from django.test import Client as HttpClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from catalog.providers.queue import NotAcceptedError
from genfeed.clients.keys import Caller
from genfeed.clients.models import Client
from genfeed.journal.audit import SYSTEM
from genfeed.journal.models import OutboxEvent
from jobs import failures
from jobs.accepting.accept import Wanted
from jobs.assets.retention import erase_client
from jobs.batches import canceling
from jobs.batches.accepting import WantedBatch, accept_batch
from jobs.batches.canceling import cancel_batch
from jobs.batches.models import STATUSES, Batch, BatchRefusal
from jobs.batches.rendering import render_batch
from jobs.batches.sweeping import sweep_batches
from jobs.dispatching import submitting
from jobs.dispatching.claiming import claim_queued, overdue_in_queue
from jobs.ending.finishing import fail, finish
from jobs.models import Job, Status
from jobs.webhooks.fan_out import fan_out
from jobs.webhooks.models import WebhookDelivery, WebhookMessage
from pricing.ledger.checking import check_ledger
from pricing.models import Account, Hold
from pricing.money import format_usd
from tests.clients.limits.test_processes import in_processes
from tests.examples import examples
from tests.jobs.doubles import PRICE, USD, Provider, look, make_caller, make_job, result, set_job, submit
from tests.pricing.estimates.sold import IMAGES_OUT, make_sold

pytestmark = pytest.mark.django_db
FOX = Wanted("fal-ai/flux/dev", {"prompt": "a fox"})


@pytest.fixture
def caller() -> Caller:
    make_sold(outputs=IMAGES_OUT)
    return make_caller()


def make_batch(caller: Caller, count: int = 3, **columns: Any) -> Batch:
    return accept_batch(WantedBatch([FOX] * count, **columns), caller)


def jobs_of(batch: Batch) -> list[Job]:
    return list(Job.objects.filter(batch=batch).order_by("batch_index"))


def running(batch: Batch) -> list[Job]:
    """Its jobs, all of them at a provider."""
    Job.objects.filter(batch=batch).update(status=Status.SUBMITTED)
    return jobs_of(batch)


def told(kind: str = "batch.") -> list[str]:
    return list(OutboxEvent.objects.filter(kind__startswith=kind).order_by("pk").values_list("kind", flat=True))


# --- the end ---


def test_the_last_job_ends_its_batch_whichever_it_is(caller: Caller) -> None:
    batch = make_batch(caller)
    first, second, third = running(batch)
    ends = [
        lambda: finish(second, result()),
        lambda: fail(third, failures.NO_MEDIA),
        lambda: finish(first, result()),
    ]
    for end in ends:
        assert told() == ["batch.created"]
        assert end()

    batch.refresh_from_db()
    assert (batch.status, told()) == ("completed", ["batch.created", "batch.completed"])
    shown = render_batch(batch)
    assert (shown["counts"]["succeeded"], shown["counts"]["failed"], shown["progress"]) == (2, 1, 1)
    assert shown["charge"] == format_usd(2 * PRICE)


def test_news_that_come_twice_end_a_batch_once(caller: Caller) -> None:
    batch = make_batch(caller, 1)
    (job,) = running(batch)
    stale = Job.objects.get(pk=job.pk)

    assert finish(job, result())
    assert not finish(stale, result())
    sweep_batches(now=True)

    assert told() == ["batch.created", "batch.completed"]


@pytest.mark.django_db(transaction=True)
def test_processes_that_end_the_jobs_of_a_batch_at_once_end_it_once(caller: Caller) -> None:
    batch = make_batch(caller, 40)
    running(batch)
    connections.close_all()

    def work() -> int:
        ended = 0
        for job in jobs_of(batch):
            ended += bool(not job.has_ended and fail(job, failures.NO_MEDIA))
        return ended

    assert in_processes(work) == 40
    batch.refresh_from_db()
    assert (batch.status, told()) == ("completed", ["batch.created", "batch.completed"])
    assert check_ledger() == []


def test_a_batch_does_not_end_while_it_is_accepted_though_all_its_jobs_have(
    caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    from jobs.batches import accepting

    close = accepting.close

    def close_late(batch: Batch, *args: Any, **more: Any) -> None:
        # In a transaction of their own they would have ended before.
        Job.objects.filter(batch=batch).update(status=Status.FAILED)
        assert told() == ["batch.created"]
        close(batch, *args, **more)

    monkeypatch.setattr(accepting, "close", close_late)
    batch = make_batch(caller, 2)

    assert (batch.status, told()) == ("completed", ["batch.created", "batch.completed"])


@pytest.mark.once
def test_each_status_of_the_list_is_that_of_a_batch(caller: Caller) -> None:
    make_batch(caller, 1)
    fail(running(make_batch(caller, 1))[0], failures.NO_MEDIA)
    cancel_batch(make_batch(caller, 1))
    going = make_batch(caller, 1)
    running(going)
    cancel_batch(going)
    Batch.objects.filter(pk=make_batch(caller, 1).pk).update(closed_at=None)

    found = {status: [batch.status for batch in Batch.objects.filter(these)] for status, these in STATUSES.items()}

    assert found == {status: [status] for status in STATUSES}


# --- one failing item stops nothing ---

ENDS: dict[str, Callable[[Job], bool]] = {
    "succeeds": lambda job: finish(job, result()),
    "fails": lambda job: fail(job, failures.NO_MEDIA),
    "is refused by the provider": lambda job: finish(job, result(status=422, detail="no", units=None)),
    "is billed and fails": lambda job: finish(job, result(status=500, detail="boom")),
}
_names = iter(range(10**9))


@given(st.lists(st.sampled_from([*ENDS, "is no request", "is too dear"]), min_size=1, max_size=8), st.randoms())
@settings(deadline=None, max_examples=examples(15), suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_one_failing_item_stops_nothing_and_the_charges_add_up(caller: Caller, fates: list[str], random: Any) -> None:
    who = make_caller(name=f"client {next(_names)}")
    refused = {"is no request": Wanted("fal-ai/flux/dev", {}), "is too dear": Wanted(FOX.model, FOX.input, max_price=1)}
    items = [refused.get(fate, FOX) for fate in [*fates, "succeeds"]]
    batch = accept_batch(WantedBatch(items), who)
    jobs = running(batch)
    random.shuffle(jobs)
    fates = [*fates, "succeeds"]

    assert all(ENDS[fates[job.batch_index or 0]](job) for job in jobs)

    batch.refresh_from_db()
    shown, counts = render_batch(batch), render_batch(batch)["counts"]
    assert batch.status == "completed"
    assert counts["succeeded"] == fates.count("succeeds")
    assert counts["refused"] == sum(fate in refused for fate in fates)
    assert counts["failed"] == len(fates) - counts["succeeded"] - counts["refused"]
    charges = [job.charge for job in jobs_of(batch)]
    assert shown["charge"] == format_usd(sum(charge or 0 for charge in charges))
    assert Account.objects.get(client_id=who.client_id).spent == sum(charge or 0 for charge in charges)
    assert OutboxEvent.objects.filter(kind="batch.completed", subject=batch.pk).count() == 1
    assert check_ledger() == []


@pytest.mark.once
def test_an_item_that_fails_with_the_provider_leaves_the_others_to_run(caller: Caller) -> None:
    batch = make_batch(caller)
    first, second, third = jobs_of(batch)
    provider = Provider()
    submit(provider, first)
    fail(first, failures.NO_MEDIA)

    assert {job.status for job in jobs_of(batch)[1:]} <= {Status.QUEUED, Status.SUBMITTING}
    for job in (second, third):
        set_job(job, status=Status.SUBMITTED, request_id=f"other-{job.batch_index}")
        assert look(provider, job).status == Status.SUCCEEDED


# --- limits and turns ---


def test_a_batch_runs_within_the_places_of_its_client(caller: Caller) -> None:
    Client.objects.update(max_in_flight=2)
    batch = make_batch(caller, 10)

    assert [job.batch_index for job in claim_queued(100)] == [0, 1]
    assert claim_queued(100) == []
    Job.objects.filter(batch=batch, batch_index=0).update(status=Status.FAILED)
    assert [job.batch_index for job in claim_queued(100)] == [2]


def test_clients_take_turns_whoever_has_a_batch(caller: Caller) -> None:
    make_batch(caller, 20)
    other = make_job(make_caller(name="Beta"))

    assert other.pk in [job.pk for job in claim_queued(2)]


def test_a_single_job_goes_before_the_batch_of_its_client(caller: Caller) -> None:
    make_batch(caller, 20)
    single = make_job(caller)

    assert [job.pk for job in claim_queued(1)] == [single.pk]


def test_items_may_wait_for_longer_than_single_jobs(caller: Caller, settings: Any) -> None:
    settings.QUEUE_TIMEOUT_SECONDS, settings.BATCH_QUEUE_TIMEOUT_SECONDS = 60, 3600
    single, (item,) = make_job(caller), jobs_of(make_batch(caller, 1))

    def overdue(seconds: int) -> set[str]:
        from datetime import timedelta

        return {job.pk for job in overdue_in_queue(now=item.created_at + timedelta(seconds=seconds))}

    assert (overdue(61), overdue(3601)) == ({single.pk}, {single.pk, item.pk})


# --- cancel ---


def test_a_cancel_ends_what_waits_and_gives_its_money_back(caller: Caller) -> None:
    batch = cancel_batch(make_batch(caller))

    assert (batch.status, told()) == ("canceled", ["batch.created", "batch.canceled"])
    assert {job.status for job in jobs_of(batch)} == {Status.CANCELED}
    account = Account.objects.get(client_id=caller.client_id)
    assert (account.available, account.held, account.open_batch_holds) == (10 * USD, 0, 0)
    assert check_ledger() == []


def test_what_the_provider_delivers_all_the_same_is_charged(caller: Caller) -> None:
    batch = make_batch(caller, 2)
    Job.objects.filter(batch=batch, batch_index=0).update(status=Status.RUNNING)

    assert cancel_batch(batch).status == "canceling"
    (job, _) = jobs_of(batch)
    assert job.status == Status.CANCELING
    finish(job, result())

    batch.refresh_from_db()
    shown = render_batch(batch)
    assert (batch.status, shown["counts"]["succeeded"], shown["counts"]["canceled"]) == ("canceled", 1, 1)
    assert shown["charge"] == format_usd(PRICE)


def test_from_the_cancel_on_nothing_is_sent_and_dispatchers_do_the_rest(
    caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(canceling, "PATIENCE_SECONDS", -1.0)
    batch = cancel_batch(make_batch(caller))

    assert (batch.status, claim_queued(100)) == ("canceling", [])
    sweep_batches(now=True)

    batch.refresh_from_db()
    assert batch.status == "canceled"


def test_what_the_provider_had_not_accepted_by_the_cancel_is_not_sent_again(
    caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = make_batch(caller, 1)
    (job,) = claim_queued(100)
    monkeypatch.setattr(canceling, "PATIENCE_SECONDS", -1.0)
    cancel_batch(batch)

    submitting.apply(job, NotAcceptedError("not now", retry_after=0))

    assert (jobs_of(batch)[0].status, claim_queued(100)) == (Status.QUEUED, [])


def test_a_batch_that_has_ended_is_not_canceled_and_asking_twice_is_no_error(caller: Caller, http_of: Any) -> None:
    batch = make_batch(caller, 1)
    http = http_of(caller)
    assert http.post(f"/api/v1/batches/{batch.pk}/cancel").json()["status"] == "canceled"
    assert http.post(f"/api/v1/batches/{batch.pk}/cancel").status_code == 200

    ended = make_batch(caller, 1)
    fail(running(ended)[0], failures.NO_MEDIA)
    answer = http.post(f"/api/v1/batches/{ended.pk}/cancel")
    assert (answer.status_code, answer.json()["code"]) == (409, "conflict")


def test_a_cancel_while_it_is_accepted_stops_the_rest(caller: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    from jobs.batches import accepting

    # After the first part.
    monkeypatch.setattr(accepting, "_observe", lambda jobs: cancel_batch(Batch.objects.get()))
    batch = make_batch(caller, 60)

    counts = render_batch(batch)["counts"]
    assert (batch.status, counts["canceled"], counts["refused"]) == ("canceled", 50, 10)
    assert set(BatchRefusal.objects.values_list("code", flat=True)) == {"conflict"}


# --- read, told ---


@pytest.fixture
def http_of() -> Callable[[Caller], HttpClient]:
    def make(caller: Caller) -> HttpClient:
        from genfeed.clients.keys import create_key

        client = Client.objects.get(pk=caller.client_id)
        _, text = create_key(client, actor=SYSTEM, scopes=["jobs:write", "jobs:read"])
        return HttpClient(headers={"Authorization": f"Bearer {text}"})

    return make


def test_items_are_paged_in_the_order_of_the_request(caller: Caller, http_of: Any) -> None:
    wanted = [FOX, Wanted("fal-ai/flux/dev", {}), FOX, FOX]
    batch = accept_batch(WantedBatch(wanted), caller)
    http = http_of(caller)

    first = http.get(f"/api/v1/batches/{batch.pk}?limit=3").json()
    second = http.get(f"/api/v1/batches/{batch.pk}?limit=3&cursor={first['next_cursor']}").json()

    shown = [(item["index"], item["status"]) for item in first["items"]]
    assert shown == [(0, "queued"), (1, "refused"), (2, "queued")]
    assert ([item["index"] for item in second["items"]], second["next_cursor"]) == ([3], None)


@pytest.mark.once
def test_an_item_shows_what_its_job_made(caller: Caller, http_of: Any) -> None:
    batch = make_batch(caller, 2)
    finish(running(batch)[1], result())

    items = http_of(caller).get(f"/api/v1/batches/{batch.pk}").json()["items"]

    assert (items[1]["status"], items[1]["charge"], len(items[1]["assets"])) == ("succeeded", format_usd(PRICE), 1)
    assert items[1]["output"]["images"]


def test_batches_are_listed_newest_first_and_narrowed_by_status(caller: Caller, http_of: Any) -> None:
    first, second = make_batch(caller, 1), make_batch(caller, 1)
    cancel_batch(first)
    http = http_of(caller)

    page = http.get("/api/v1/batches?limit=1").json()
    rest = http.get(f"/api/v1/batches?limit=1&cursor={page['next_cursor']}").json()

    assert [batch["id"] for batch in page["items"] + rest["items"]] == [second.pk, first.pk]
    canceled = http.get("/api/v1/batches?status=canceled").json()["items"]
    assert [batch["id"] for batch in canceled] == [first.pk]


@pytest.mark.once
def test_a_batch_is_unknown_to_other_clients(caller: Caller, http_of: Any) -> None:
    batch = make_batch(caller, 1)
    http = http_of(make_caller(name="Beta"))

    assert http.get(f"/api/v1/batches/{batch.pk}").status_code == 404
    assert http.post(f"/api/v1/batches/{batch.pk}/cancel").status_code == 404
    assert http.get("/api/v1/batches").json()["items"] == []


@pytest.mark.once
def test_its_own_address_is_told_of_the_end_of_a_batch(caller: Caller) -> None:
    batch = make_batch(caller, 1, webhook_url="https://example.com/hook")
    fail(running(batch)[0], failures.NO_MEDIA)

    while fan_out():
        pass

    (delivery,) = WebhookDelivery.objects.all()
    assert (delivery.url, delivery.message.kind) == ("https://example.com/hook", "batch.completed")
    message = WebhookMessage.objects.get()
    assert f'"id":"{batch.pk}"' in message.body
    assert '"failed":1' in message.body


def test_an_erased_client_leaves_nothing_of_what_a_batch_said(caller: Caller) -> None:
    batch = accept_batch(
        WantedBatch([FOX, Wanted("fal-ai/flux/dev", {"promt": "secret"})], metadata={"a": "secret"}), caller
    )
    fail(running(batch)[0], failures.NO_MEDIA)

    erase_client(Client.objects.get(pk=caller.client_id), actor=SYSTEM)

    batch.refresh_from_db()
    refusal = BatchRefusal.objects.get()
    assert (batch.metadata, batch.webhook_url, refusal.message, refusal.details) == ({}, "", "", None)


def test_holds_of_a_batch_are_closed_with_their_jobs(caller: Caller) -> None:
    batch = make_batch(caller, 2)
    for job in running(batch):
        fail(job, failures.NO_MEDIA)

    assert not Hold.objects.filter(closed_at=None).exists()
    assert Account.objects.get(client_id=caller.client_id).open_batch_holds == 0
