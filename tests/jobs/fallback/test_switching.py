"""From one model to the next: only what certainly has not run, and money, events and keys with it."""

import os
import signal
import time
from collections.abc import Callable
from copy import copy
from datetime import timedelta
from typing import Any

import pytest
from django.db import connections
from django.utils import timezone

from catalog.models import AIModel
from catalog.providers.queue import (
    Answer,
    KeyRefusedError,
    LockedError,
    NotAcceptedError,
    QueueError,
    RefusedError,
    UnclearError,
    UnreachableError,
)
from jobs.assets import handing_over
from jobs.assets.models import Asset, Handover
from jobs.canceling import cancel
from jobs.dispatching import submitting
from jobs.dispatching.claiming import claim_queued
from jobs.dispatching.dispatcher import SUBMIT, Dispatcher, _Came
from jobs.dispatching.submitting import NotSentError
from jobs.fallback import switching
from jobs.fallback.accepting import Alternative
from jobs.fallback.sweeping import sweep_fallbacks
from jobs.models import Job, ProviderGate, Status
from pricing.ledger.checking import check_ledger
from pricing.models import Budget, BudgetPeriod, Hold, UsageRecord
from tests.jobs.doubles import OUTPUT, USD, Provider, kinds, look, make_caller, money, result, set_job, submit
from tests.jobs.fallback.conftest import FIRST, PRICES, SECOND, THIRD, make, set_model, shut, tried
from tests.jobs.test_races import before, make_funded
from tests.pricing.estimates.sold import IMAGE_URL, IMAGES_OUT, PROMPT, make_sold

pytestmark = pytest.mark.django_db(transaction=True)

PATIENCE_SECONDS = 20
DOWN = NotAcceptedError("could not be reached")


def refused(job: Job, error: QueueError) -> Job:
    """The job, sent, with this answer."""
    provider = Provider()
    provider.on_submit = error
    return submit(provider, job)


@pytest.mark.once
@pytest.mark.parametrize(
    ("error", "code"),
    [
        (DOWN, "provider_unavailable"),
        (NotAcceptedError("503", Answer("submit", 503)), "provider_unavailable"),
        (LockedError("no credit", Answer("submit", 403)), "provider_unavailable"),
        (KeyRefusedError("401", Answer("submit", 401)), "provider_unavailable"),
        (RefusedError("404", 404, "gone", Answer("submit", 404)), "model_retired"),
    ],
)
def test_optm_09_what_a_provider_certainly_did_not_take_goes_on_with_the_next_model(
    error: QueueError, code: str
) -> None:
    job = refused(make(SECOND), error)

    assert (job.status, job.provider, job.endpoint_id) == (Status.QUEUED, "second", SECOND)
    assert tried(job) == [(FIRST, "passed_over", code), (SECOND, "chosen", None)]
    assert (job.hold_amount, money(job)[1]) == (PRICES[SECOND], PRICES[SECOND])
    told = job.events.order_by("number").last()
    assert (told.kind, told.data["fallback"]["to"]) == ("job_progress", f"second:{SECOND}")
    assert check_ledger() == []

    provider = Provider()
    look(provider, submit(provider, job))

    assert (job.refresh_from_db(), job.status, job.charge) == (None, Status.SUCCEEDED, PRICES[SECOND])
    assert UsageRecord.objects.get(job=job.pk).model.endpoint_id == SECOND
    assert money(job) == (10 * USD - PRICES[SECOND], 0, PRICES[SECOND])
    assert check_ledger() == []


@pytest.mark.once
@pytest.mark.parametrize(
    ("error", "status"),
    [
        (UnclearError("lost", Answer("submit", 500)), Status.SUBMITTING),
        (RefusedError("422", 422, "bad", Answer("submit", 422)), Status.FAILED),
        (NotAcceptedError("busy", Answer("submit", 429), retry_after=1), Status.QUEUED),
        (NotSentError("the claim is too old"), Status.QUEUED),
    ],
)
def test_what_may_be_there_and_what_is_the_clients_fault_and_what_is_only_busy_stays(
    error: QueueError, status: str
) -> None:
    job = refused(make(SECOND), error)

    assert (job.status, job.endpoint_id, tried(job)[1]) == (status, FIRST, (SECOND, "spare", None))


@pytest.mark.once
def test_a_failure_after_the_provider_took_it_is_the_end() -> None:
    provider = Provider()
    provider.on_result = result(status=503)
    job = look(provider, submit(provider, make(SECOND)))

    assert (job.status, job.endpoint_id) == (Status.FAILED, FIRST)


def test_alternatives_are_tried_in_order_and_after_the_last_the_job_ends_as_without_any() -> None:
    job = refused(make(THIRD, SECOND), DOWN)
    assert job.endpoint_id == THIRD
    job = refused(job, RefusedError("404", 404, "gone", Answer("submit", 404)))
    assert job.endpoint_id == SECOND

    job = refused(job, RefusedError("404", 404, "gone", Answer("submit", 404)))

    assert (job.status, job.error["code"], money(job)) == (Status.FAILED, "model_retired", (10 * USD, 0, 0))
    assert check_ledger() == []


def test_a_charge_never_exceeds_the_hold_of_the_model_that_ran() -> None:
    job = refused(make(THIRD), DOWN)
    provider = Provider()
    provider.on_result = result(OUTPUT, units="3")
    look(provider, submit(provider, job))

    job.refresh_from_db()
    assert (job.charge, money(job)[2]) == (PRICES[THIRD], PRICES[THIRD])
    assert Hold.objects.get(job=job.pk).amount == PRICES[THIRD]
    assert check_ledger() == []


# --- what is passed over on the way ---


def off(endpoint_id: str) -> None:
    set_model(endpoint_id, enabled=False, held_reason="")


@pytest.mark.once
@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        (lambda: off(SECOND), "model_disabled"),
        (lambda: set_model(SECOND, enabled=False, status=AIModel.Status.RETIRED), "model_retired"),
    ],
)
def test_an_alternative_that_is_not_offered_any_more_is_passed_over(spoil: Callable[[], None], code: str) -> None:
    job = make(SECOND, THIRD)
    spoil()

    job = refused(job, DOWN)

    assert tried(job)[1:] == [(SECOND, "passed_over", code), (THIRD, "chosen", None)]


@pytest.mark.once
def test_where_no_alternative_can_be_had_now_they_are_left_for_later() -> None:
    job = make(SECOND)
    shut("second")

    job = refused(job, DOWN)
    assert (job.status, tried(job)) == (Status.QUEUED, [(FIRST, "chosen", None), (SECOND, "spare", None)])
    ProviderGate.objects.filter(name="second").delete()
    set_job(job, next_at=timezone.now())

    assert refused(job, DOWN).endpoint_id == SECOND


def test_an_alternative_that_the_balance_does_not_reach_for_is_passed_over() -> None:
    caller = make_caller(0)
    make_funded(caller.client_id, PRICES[FIRST])

    job = refused(make(SECOND, THIRD, caller=caller), DOWN)

    assert tried(job)[1:] == [(SECOND, "passed_over", "insufficient_funds"), (THIRD, "chosen", None)]
    assert money(job) == (PRICES[FIRST] - PRICES[THIRD], PRICES[THIRD], 0)
    assert check_ledger() == []


def test_the_reservation_moves_to_the_budgets_of_the_next_model(sold: dict[str, AIModel]) -> None:
    caller = make_caller()
    for endpoint_id, limit in ((FIRST, USD), (SECOND, PRICES[SECOND] - 1), (THIRD, USD)):
        Budget.objects.create(client_id=caller.client_id, period="total", limit=limit, model=sold[endpoint_id])

    job = refused(make(SECOND, THIRD, caller=caller), DOWN)

    assert tried(job)[1:] == [(SECOND, "passed_over", "budget_exceeded"), (THIRD, "chosen", None)]
    reserved = dict(BudgetPeriod.objects.values_list("budget__model__endpoint_id", "reserved"))
    assert (reserved[FIRST], reserved.get(SECOND, 0), reserved[THIRD]) == (0, 0, PRICES[THIRD])
    assert check_ledger() == []


# --- in the queue ---


def test_a_queued_job_leaves_a_provider_whose_gate_is_shut() -> None:
    job = make(SECOND)
    assert sweep_fallbacks() == 0
    shut("fal")

    assert sweep_fallbacks() == 1

    job.refresh_from_db()
    assert (job.status, job.endpoint_id, kinds(job)) == (Status.QUEUED, SECOND, ["job_queued", "job_progress"])
    assert [one.pk for one in claim_queued(10)] == [job.pk]


@pytest.mark.once
def test_a_queued_job_leaves_a_model_that_is_retired_meanwhile() -> None:
    job = make(SECOND)
    set_model(FIRST, enabled=False, status=AIModel.Status.RETIRED)

    assert sweep_fallbacks() == 1

    job.refresh_from_db()
    assert tried(job) == [(FIRST, "passed_over", "model_retired"), (SECOND, "chosen", None)]


def test_a_job_that_is_sent_or_has_ended_is_not_swept() -> None:
    submit(Provider(), make(SECOND))
    ended = make(SECOND)
    cancel(Job.objects.get(pk=ended.pk))
    shut("fal")

    assert sweep_fallbacks() == 0


# --- races and crashes ---


def test_a_cancel_while_it_is_sent_goes_before_the_switch(monkeypatch: pytest.MonkeyPatch) -> None:
    job = make(SECOND)
    before(monkeypatch, switching, "choose", lambda: cancel(Job.objects.get(pk=job.pk)))

    job = refused(job, DOWN)

    assert (job.status, job.endpoint_id, money(job)) == (Status.CANCELED, FIRST, (10 * USD, 0, 0))
    assert check_ledger() == []


def test_a_cancel_in_the_queue_goes_before_the_switch(monkeypatch: pytest.MonkeyPatch) -> None:
    job = make(SECOND)
    shut("fal")
    before(monkeypatch, switching, "choose", lambda: cancel(Job.objects.get(pk=job.pk)))

    assert sweep_fallbacks() == 0

    job.refresh_from_db()
    assert (job.status, money(job)) == (Status.CANCELED, (10 * USD, 0, 0))


def test_of_two_switches_at_once_one_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    job = make(SECOND, THIRD)
    shut("fal")
    before(monkeypatch, switching, "choose", sweep_fallbacks)

    assert sweep_fallbacks() == 0

    job.refresh_from_db()
    assert (job.endpoint_id, kinds(job)) == (SECOND, ["job_queued", "job_progress"])
    assert check_ledger() == []


def test_a_process_that_is_killed_in_the_middle_of_a_switch_leaves_the_job_as_it_was(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    job = make(SECOND)
    shut("fal")
    connections.close_all()
    real = switching.rehold

    def killed(*args: Any, **more: Any) -> None:
        # Everything is written, and nothing committed.
        real(*args, **more)
        os._exit(9)

    child = os.fork()
    if child == 0:
        try:
            monkeypatch.setattr(switching, "rehold", killed)
            sweep_fallbacks()
        finally:
            os._exit(0)
    assert exit_code(child) == 9

    job.refresh_from_db()
    assert (job.endpoint_id, job.hold_amount, money(job)[1]) == (FIRST, PRICES[FIRST], PRICES[FIRST])
    assert check_ledger() == []
    assert sweep_fallbacks() == 1
    assert check_ledger() == []


def exit_code(child: int) -> int:
    """How a process ended, which must be soon."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.02)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    pytest.fail("the process did not end")


def test_a_refusal_that_was_written_down_before_the_database_broke_off_counts_once() -> None:
    job = make(SECOND, THIRD)
    (claimed,) = claim_queued(1)
    stale = copy(claimed)
    submitting.apply(claimed, DOWN)
    dispatcher = Dispatcher(threads=1)
    dispatcher._under_way[SUBMIT] = 1

    dispatcher._done.put(_Came(SUBMIT, stale, KeyRefusedError("401"), again=True, is_asked=False))
    dispatcher._apply_all()

    dispatcher.drain()
    job.refresh_from_db()
    assert (job.status, tried(job)[1:]) == (Status.QUEUED, [(SECOND, "chosen", None), (THIRD, "spare", None)])


# --- files ---


def with_file(caller: Any) -> dict[str, Any]:
    asset = Asset.objects.create(
        id="ast_" + "a" * 26, client_id=caller.client_id, origin=Asset.Origin.UPLOAD, state=Asset.State.STORED,
        name="a.png", content_type="image/png", storage_name="a.png", size=1,
    )  # fmt: skip
    return {"prompt": "a fox", "image_url": f"asset:{asset.pk}"}


@pytest.mark.once
def test_files_are_brought_to_the_next_provider_too(sold: dict[str, AIModel]) -> None:
    caller = make_caller()
    for endpoint_id, provider in (("a/edit", "fal"), ("b/edit", "second")):
        make_sold(endpoint_id, inputs=[PROMPT, IMAGE_URL], outputs=IMAGES_OUT, provider=provider)
    job = make("b/edit", caller=caller, model="a/edit", input=with_file(caller))
    (claimed,) = handing_over.claim(10)

    handing_over.apply(claimed, UnreachableError("away"))

    job.refresh_from_db()
    assert (job.endpoint_id, claim_queued(10)) == ("b/edit", [])
    handover = Handover.objects.get(job=job)
    assert (handover.attempts, handover.next_at <= timezone.now()) == (0, True)
    # What was under way for the provider before says nothing any more.
    handing_over.apply(claimed, {f"asset:{'ast_' + 'a' * 26}": "https://fal/a.png"})
    job.refresh_from_db()
    assert job.input["image_url"].startswith("asset:")

    (claimed,) = handing_over.claim(10)
    handing_over.apply(claimed, {f"asset:{'ast_' + 'a' * 26}": "https://second/a.png"})

    (sent,) = claim_queued(10)
    assert sent.input["image_url"] == "https://second/a.png"


# --- the rest of the job ---


@pytest.mark.once
def test_the_job_keeps_its_age_and_gets_a_token_that_the_first_provider_was_not_told() -> None:
    made = make(Alternative(SECOND, {"prompt": "a wolf"}))
    set_job(made, created_at=timezone.now() - timedelta(minutes=5))
    before_switch = Job.objects.get(pk=made.pk)

    job = refused(made, DOWN)

    assert (job.created_at, job.input) == (before_switch.created_at, {"prompt": "a wolf"})
    assert job.token != before_switch.token
    assert job.input_digest != before_switch.input_digest
