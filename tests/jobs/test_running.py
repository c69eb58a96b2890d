"""From accepted to ended, step by step, and every turn on the way."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone

from catalog.providers.queue import (
    Answer,
    FoundRequest,
    KeyRefusedError,
    LockedError,
    NotAcceptedError,
    RefusedError,
    UnclearError,
    UnreachableError,
)
from genfeed.journal.models import Alert
from jobs import failures
from jobs.canceling import cancel
from jobs.dispatching import submitting, watching
from jobs.dispatching.claiming import claim_due, claim_queued, lease, overdue_in_queue
from jobs.dispatching.dispatcher import Dispatcher
from jobs.dispatching.outgoing import digest_of
from jobs.ending.finishing import fail
from jobs.models import Job, ProviderAnswer, ProviderGate, Status
from jobs.transitions import touch
from pricing.ledger.checking import check_ledger
from pricing.models import LedgerTransaction, UsageRecord
from pricing.usage.recording import Outcome
from tests.jobs.doubles import (
    COST,
    OUTPUT,
    PRICE,
    USD,
    Provider,
    kinds,
    look,
    make_caller,
    make_job,
    money,
    result,
    set_job,
    submit,
    submitted,
)

pytestmark = pytest.mark.django_db


# --- the way of most jobs ---


def test_a_job_goes_from_queued_to_succeeded_and_is_charged_for_what_was_billed() -> None:
    provider, job = submitted()
    assert (job.status, job.request_id, job.queue_position) == (Status.SUBMITTED, "req-1", 3)
    assert money(job) == (10 * USD - PRICE, PRICE, 0)

    look(provider, job)

    assert (job.status, job.output, job.charge, job.cost) == (Status.SUCCEEDED, OUTPUT, PRICE, COST)
    assert job.cost_source == "billable_units"
    assert money(job) == (10 * USD - PRICE, 0, PRICE)
    assert kinds(job) == ["job_queued", "job_succeeded"]


def test_the_end_leaves_one_usage_record() -> None:
    provider, job = submitted()

    look(provider, job)

    record = UsageRecord.objects.get(job=job.pk)
    assert (record.outcome, record.cost, record.charge, record.units) == (Outcome.SUCCEEDED, COST, PRICE, "1")
    assert (record.request_id, record.quoted_cost, record.quoted_price) == ("req-1", COST, PRICE)
    assert record.features == {"num_images": 1}
    assert record.seconds is not None


@pytest.mark.once
def test_what_the_provider_reports_on_the_way_is_told() -> None:
    provider, job = submitted()
    provider.state, provider.position = "queued", 1
    look(provider, job)
    assert (job.status, job.queue_position) == (Status.SUBMITTED, 1)
    provider.state, provider.position = "running", None
    provider.logs = [{"message": "10 %", "level": "INFO", "timestamp": "t1"}]
    look(provider, job)
    assert (job.status, job.queue_position) == (Status.RUNNING, None)
    assert job.started_at is not None
    # fal puts a running request back into its queue by itself.
    provider.state, provider.position, provider.logs = "queued", 7, []
    look(provider, job)
    assert job.status == Status.SUBMITTED
    provider.state = "completed"
    look(provider, job)

    assert job.status == Status.SUCCEEDED
    assert kinds(job) == [
        "job_queued", "job_progress", "job_progress", "job_started", "job_progress", "job_succeeded",
    ]  # fmt: skip


@pytest.mark.once
def test_no_log_line_is_told_twice_while_the_window_moves() -> None:
    provider, job = submitted()
    provider.state = "running"

    def line(number: int) -> dict[str, str]:
        return {"message": f"step {number}", "level": "INFO", "timestamp": f"t{number}"}

    for window in ([1, 2], [2, 3], [2, 3], [3, 4, 5]):
        provider.logs = [line(number) for number in window]
        look(provider, job)

    told = [entry["message"] for event in job.events.all() for entry in event.data.get("logs", [])]
    assert told == ["step 1", "step 2", "step 3", "step 4", "step 5"]


def log_line(number: int) -> dict[str, str]:
    return {"message": f"step {number}", "level": "INFO", "timestamp": f"t{number}"}


def told_lines(job: Job) -> list[str]:
    return [line["message"] for event in job.events.order_by("number") for line in event.data.get("logs", [])]


@pytest.mark.once
def test_a_window_of_many_lines_is_told_once() -> None:
    provider, job = submitted()
    provider.state = "running"
    for last in (450, 450, 460, 460):
        provider.logs = [log_line(number) for number in range(last - 450, last)]
        look(provider, job)

    assert told_lines(job) == [f"step {number}" for number in range(460)]


@pytest.mark.once
def test_the_last_log_lines_are_told_whatever_changes_meanwhile() -> None:
    provider, job = submitted()
    provider.logs = [log_line(1), log_line(2)]

    def change() -> Any:
        # Between the provider's answer and our writing down, somebody else changes the job.
        with transaction.atomic():
            assert touch(Job.objects.get(pk=job.pk), event="job_progress", data={"queue_position": 1})
        return result()

    provider.on_result = change
    job = look(provider, job)

    assert job.status == Status.SUCCEEDED
    assert told_lines(job) == ["step 1", "step 2"]


# --- submits ---


def test_a_submit_is_sent_once_whatever_the_answer() -> None:
    for error in (UnclearError("lost"), RefusedError("no", 422, "bad"), LockedError("locked"), KeyRefusedError("401")):
        provider = Provider()
        provider.on_submit = error
        submit(provider, make_job())
        assert provider.calls == ["submit"]
        ProviderGate.objects.all().delete()


def test_what_was_certainly_not_accepted_goes_back_into_the_queue() -> None:
    provider = Provider()
    provider.on_submit = NotAcceptedError("429", Answer("submit", 429), retry_after=7)

    job = submit(provider, make_job())

    assert (job.status, job.attempts, job.sent_at) == (Status.QUEUED, 1, None)
    assert timedelta(seconds=6) < job.next_at - timezone.now() <= timedelta(seconds=7)
    assert claim_queued(10) == []
    set_job(job, next_at=timezone.now())
    provider.on_submit = None
    assert submit(provider, job).status == Status.SUBMITTED


@pytest.mark.once
def test_an_unclear_submit_is_neither_sent_again_nor_given_up_at_once() -> None:
    provider = Provider()
    provider.on_submit = UnclearError("read timeout")

    job = submit(provider, make_job())

    assert job.status == Status.SUBMITTING
    assert claim_queued(10) == []
    assert money(job)[1] == PRICE


def test_a_lost_submit_is_found_in_the_providers_list_and_goes_on() -> None:
    provider = Provider()
    provider.on_submit = UnclearError("read timeout")
    job = submit(provider, make_job())
    sent = timezone.now()
    provider.found = [
        FoundRequest("req-other", "fal-ai/flux/dev", sent, {"prompt": "a wolf"}, False),
        FoundRequest("req-ours", "fal-ai/flux/dev", sent, {"prompt": "a fox"}, True),
    ]

    look(provider, job)
    assert (job.status, job.request_id) == (Status.SUBMITTED, "req-ours")

    look(provider, job)
    assert (job.status, provider.calls.count("submit")) == (Status.SUCCEEDED, 1)


def test_a_request_that_another_job_has_is_not_adopted() -> None:
    provider, _first = submitted()
    provider.on_submit = UnclearError("read timeout")
    second = submit(provider, make_job())
    provider.found = [FoundRequest("req-1", "fal-ai/flux/dev", timezone.now(), {"prompt": "a fox"}, True)]

    look(provider, second)

    assert (second.status, second.request_id) == (Status.SUBMITTING, "")


def test_two_lost_submits_of_equal_inputs_get_a_request_each() -> None:
    provider = Provider()
    provider.on_submit = UnclearError("read timeout")
    caller = make_caller()
    first, second = make_job(caller), make_job(caller)
    for job in claim_queued(10):
        submitting.apply(job, submitting.ask(provider, job))
    provider.found = [
        FoundRequest(f"r{n}", "fal-ai/flux/dev", timezone.now(), {"prompt": "a fox"}, True) for n in (1, 2)
    ]

    look(provider, first)
    look(provider, second)

    assert {first.request_id, second.request_id} == {"r1", "r2"}


@pytest.mark.once
def test_an_older_request_of_the_same_input_is_not_taken_for_ours() -> None:
    provider = Provider()
    provider.on_submit = UnclearError("read timeout")
    job = submit(provider, make_job())
    old = timezone.now() - timedelta(minutes=10)
    provider.found = [FoundRequest("req-old", "fal-ai/flux/dev", old, {"prompt": "a fox"}, True)]

    assert look(provider, job).status == Status.SUBMITTING


@pytest.mark.once
def test_a_submit_that_is_nowhere_to_be_found_fails_after_the_grace_period_and_costs_nothing(settings: object) -> None:
    provider = Provider()
    provider.on_submit = UnclearError("read timeout")
    job = submit(provider, make_job())
    assert look(provider, job).status == Status.SUBMITTING

    set_job(job, sent_at=timezone.now() - timedelta(seconds=121))
    look(provider, job)

    assert (job.status, job.error["code"]) == (Status.FAILED, "submit_unknown")
    assert money(job) == (10 * USD, 0, 0)


@pytest.mark.once
def test_while_the_list_cannot_be_read_nothing_is_given_up() -> None:
    provider = Provider()
    provider.on_submit = UnclearError("read timeout")
    job = submit(provider, make_job())
    set_job(job, sent_at=timezone.now() - timedelta(hours=1))
    provider.found = UnreachableError("down")

    assert look(provider, job).status == Status.SUBMITTING


def test_a_dispatcher_that_dies_after_claiming_leaves_a_job_that_is_looked_for() -> None:
    job = make_job()
    claim_queued(1)

    assert claim_due(10) == []
    set_job(job, next_at=timezone.now())
    assert [found.pk for found in claim_due(10)] == [job.pk]


@pytest.mark.once
def test_a_refused_input_is_told_with_the_providers_words() -> None:
    provider = Provider()
    detail = [{"loc": ["body", "prompt"], "msg": "too short", "type": "string_too_short"}]
    provider.on_submit = RefusedError("422", 422, detail, Answer("submit", 422))

    job = submit(provider, make_job())

    assert (job.status, job.error["code"]) == (Status.FAILED, "provider_rejected_input")
    assert "prompt: too short" in job.error["message"]
    assert money(job) == (10 * USD, 0, 0)


@pytest.mark.once
@pytest.mark.parametrize(
    ("error", "code"),
    [(LockedError("balance"), "provider_locked"), (KeyRefusedError("401"), "provider_key_refused")],
)
def test_trouble_with_our_account_is_our_problem_and_stops_dispatching(error: Exception, code: str) -> None:
    provider = Provider()
    provider.on_submit = error
    caller = make_caller()
    job, other = make_job(caller), make_job(caller)
    claimed = claim_queued(1)[0]

    submitting.apply(claimed, submitting.ask(provider, claimed))

    job.refresh_from_db()
    assert (job.status, job.error["code"]) == (Status.FAILED, "provider_unavailable")
    assert money(job) == (10 * USD - PRICE, PRICE, 0)
    assert Alert.objects.get(code=code).level == "critical"
    assert claim_queued(10) == []
    assert Job.objects.get(pk=other.pk).status == Status.QUEUED


@pytest.mark.once
def test_a_model_that_is_gone_at_the_provider_says_so() -> None:
    provider = Provider()
    provider.on_submit = RefusedError("404", 404, "not found")

    assert submit(provider, make_job()).error["code"] == "model_retired"


# --- results ---


@pytest.mark.once
@pytest.mark.parametrize(
    ("status", "detail", "error_type", "code"),
    [
        (422, [{"msg": "nsfw", "type": "content_policy_violation"}], "", "content_refused"),
        (
            422,
            [{"loc": ["body", "image_url"], "msg": "broken", "type": "image_load_error"}],
            "",
            "provider_rejected_input",
        ),
        (422, [{"msg": "nothing", "type": "no_media_generated"}], "", "provider_error"),
        (400, "bad request", "", "provider_rejected_input"),
        (504, "Request timed out", "request_timeout", "timeout"),
        (504, [{"type": "generation_timeout"}], "", "timeout"),
        (503, "", "runner_scheduling_failure", "provider_unavailable"),
        (429, "slow down", "", "provider_unavailable"),
        (500, [{"msg": "boom", "type": "internal_server_error"}], "", "provider_error"),
        (502, "", "runner_incomplete_response", "provider_error"),
        (403, "forbidden", "", "provider_unavailable"),
        (499, "", "client_disconnected", "provider_rejected_input"),
    ],
)
def test_every_failure_has_a_code_of_ours_and_costs_nothing(
    status: int, detail: object, error_type: str, code: str
) -> None:
    provider, job = submitted()
    provider.on_result = result(status=status, detail=detail, error_type=error_type, units=None)

    look(provider, job)

    assert (job.status, job.error["code"], job.charge) == (Status.FAILED, code, 0)
    assert job.error["message"]
    assert job.error["hint"].endswith(".")
    assert money(job) == (10 * USD, 0, 0)
    assert UsageRecord.objects.get(job=job.pk).error_code == code


def test_m8_a_billed_failure_is_our_loss_unless_the_terms_pass_it_on() -> None:
    provider, job = submitted()
    provider.on_result = result(status=422, detail="late", units="1")

    look(provider, job)

    assert money(job) == (10 * USD, 0, 0)
    assert LedgerTransaction.objects.get(job=job.pk, kind="release").loss == COST


def test_m8_terms_may_pass_a_billed_failure_on() -> None:
    from genfeed.journal.audit import SYSTEM
    from pricing.ledger.accounts import set_terms

    caller = make_caller()
    set_terms(caller.client_id, actor=SYSTEM, charges_failures=True)
    provider = Provider()
    job = submit(provider, make_job(caller))
    provider.on_result = result(status=422, detail="late", units="1")

    look(provider, job)

    assert (job.status, job.charge) == (Status.FAILED, PRICE)
    assert money(job) == (10 * USD - PRICE, 0, PRICE)


@pytest.mark.once
def test_a_failure_that_the_provider_did_not_bill_costs_nothing_whatever_the_terms_pass_on() -> None:
    from genfeed.journal.audit import SYSTEM
    from pricing.ledger.accounts import set_terms

    caller = make_caller()
    set_terms(caller.client_id, actor=SYSTEM, charges_failures=True)
    provider = Provider()
    job = submit(provider, make_job(caller))
    provider.on_result = result(status=500, detail="boom", units=None)

    look(provider, job)

    assert (job.status, job.charge) == (Status.FAILED, 0)
    assert money(job) == (10 * USD, 0, 0)


@pytest.mark.once
def test_a_success_without_the_media_it_promises_is_a_failure() -> None:
    provider, job = submitted()
    provider.on_result = result({"images": [], "seed": 1})

    look(provider, job)

    assert (job.status, job.error["code"], money(job)[2]) == (Status.FAILED, "provider_error", 0)


@pytest.mark.once
def test_without_a_word_about_units_the_estimate_is_charged() -> None:
    provider, job = submitted()
    provider.on_result = result(units=None)

    look(provider, job)

    assert (job.charge, job.cost, job.cost_source) == (PRICE, COST, "estimated")


@pytest.mark.once
def test_fewer_billed_units_are_charged_as_fewer() -> None:
    provider, job = submitted(input={"prompt": "a fox", "num_images": 2})
    assert job.hold_amount == 166_666_667

    look(provider, job)

    assert (job.charge, job.cost) == (PRICE, COST)
    assert money(job) == (10 * USD - PRICE, 0, PRICE)


@pytest.mark.once
def test_quoted_terms_charge_the_quote_whatever_was_billed() -> None:
    from genfeed.journal.audit import SYSTEM
    from pricing.ledger.accounts import set_terms

    caller = make_caller()
    set_terms(caller.client_id, actor=SYSTEM, billing="quoted")
    provider = Provider()
    job = submit(provider, make_job(caller, input={"prompt": "a fox", "num_images": 2}))

    look(provider, job)

    assert (job.charge, job.cost) == (166_666_667, COST)


def test_a_bill_above_the_hold_is_capped_and_the_rest_is_our_loss() -> None:
    provider, job = submitted()
    provider.on_result = result(units="5")

    look(provider, job)

    assert (job.charge, job.cost) == (PRICE, 5 * COST)
    row = LedgerTransaction.objects.get(job=job.pk, kind="settle")
    assert (row.spent, row.loss) == (PRICE, 5 * COST - PRICE)
    alert = Alert.objects.get(code="operator_loss")
    assert (alert.subject, alert.amount, job.pk in alert.text) == (
        f"fal:{job.model.endpoint_id}",
        5 * COST - PRICE,
        True,
    )


@pytest.mark.parametrize("units", ["11", "0.05"])
def test_a_bill_that_makes_no_sense_waits_for_a_person_and_the_client_pays_the_quote(units: str) -> None:
    provider, job = submitted()
    provider.on_result = result(units=units)

    look(provider, job)

    assert (job.status, job.charge) == (Status.SUCCEEDED, PRICE)
    assert job.quarantine
    assert Alert.objects.filter(code="bill_quarantined", subject=job.pk).exists()


def test_a_max_price_caps_the_hold_and_so_the_charge() -> None:
    provider, job = submitted(max_price=PRICE)
    provider.on_result = result(units="3")

    look(provider, job)

    assert (job.hold_amount, job.charge) == (PRICE, PRICE)


def test_m3_the_same_result_brought_twice_is_charged_once() -> None:
    provider, job = submitted()
    first, second = Job.objects.get(pk=job.pk), Job.objects.get(pk=job.pk)
    watched = watching.ask(provider, job)

    watching.apply(first, watched)
    watching.apply(second, watched)

    assert money(job) == (10 * USD - PRICE, 0, PRICE)
    assert UsageRecord.objects.count() == 1


def test_m9_a_price_that_changes_meanwhile_changes_no_accepted_job() -> None:
    from pricing.estimates import facts
    from pricing.models import PricePoint

    provider, job = submitted()
    PricePoint.objects.update(unit_price="0.05")
    facts.forget()

    look(provider, job)

    assert (job.charge, job.cost) == (PRICE, COST)


# --- canceling ---


def test_a_queued_job_is_canceled_at_once_and_costs_nothing() -> None:
    job = cancel(make_job())

    assert job.status == Status.CANCELED
    assert money(job) == (10 * USD, 0, 0)
    assert kinds(job) == ["job_queued", "job_canceled"]


def test_a_cancel_of_a_running_job_is_asked_for_and_its_outcome_awaited() -> None:
    provider, job = submitted()
    provider.state = "running"

    cancel(job)
    assert (job.status, provider.calls) == (Status.CANCELING, ["submit"])
    look(provider, job)
    assert (job.status, provider.calls[-1]) == (Status.CANCELING, "cancel")
    assert money(job)[1] == PRICE

    provider.state = "completed"
    provider.on_result = result(status=499, error_type="client_cancelled", units=None)
    look(provider, job)

    assert job.status == Status.CANCELED
    assert money(job) == (10 * USD, 0, 0)


@pytest.mark.once
def test_a_cancel_that_comes_too_late_is_delivered_and_charged() -> None:
    provider, job = submitted()
    cancel(job)
    provider.on_cancel = "completed"
    look(provider, job)

    look(provider, job)

    assert (job.status, job.output, job.charge) == (Status.SUCCEEDED, OUTPUT, PRICE)


@pytest.mark.once
def test_a_billed_cancel_is_charged_by_the_default_terms() -> None:
    provider, job = submitted()
    cancel(job)
    look(provider, job)
    provider.on_result = result(status=499, error_type="client_cancelled", units="0.4")

    look(provider, job)

    assert (job.status, job.charge) == (Status.CANCELED, 33_333_333)


@pytest.mark.once
def test_a_request_that_the_provider_removed_from_its_queue_is_canceled() -> None:
    provider, job = submitted()
    cancel(job)
    provider.on_cancel = "unknown"

    look(provider, job)

    assert (job.status, money(job)) == (Status.CANCELED, (10 * USD, 0, 0))


def test_a_cancel_while_the_submit_is_under_way_is_sent_as_soon_as_it_is_known() -> None:
    provider = Provider()
    job = make_job()
    claimed = claim_queued(1)[0]
    outcome = submitting.ask(provider, claimed)
    assert cancel(Job.objects.get(pk=job.pk)).status == Status.SUBMITTING

    submitting.apply(claimed, outcome)

    job.refresh_from_db()
    assert job.status == Status.CANCELING
    look(provider, job)
    assert provider.calls == ["submit", "cancel"]


def test_a_cancel_while_a_submit_is_refused_for_now_ends_the_job() -> None:
    provider = Provider()
    provider.on_submit = NotAcceptedError("429")
    job = make_job()
    claimed = claim_queued(1)[0]
    outcome = submitting.ask(provider, claimed)
    cancel(Job.objects.get(pk=job.pk))

    submitting.apply(claimed, outcome)

    job.refresh_from_db()
    assert (job.status, money(job)) == (Status.CANCELED, (10 * USD, 0, 0))


@pytest.mark.once
def test_canceling_twice_is_no_error_and_canceling_what_has_ended_is() -> None:
    from genfeed.clients.errors import ApiError

    provider, job = submitted()
    assert cancel(cancel(job)).status == Status.CANCELING
    provider.on_cancel = "completed"
    look(provider, job)
    look(provider, job)

    with pytest.raises(ApiError) as caught:
        cancel(job)

    assert caught.value.code == "conflict"


# --- time ---


def test_past_its_deadline_a_job_is_canceled_and_has_failed() -> None:
    provider, job = submitted()
    provider.state = "running"
    look(provider, job)
    set_job(job, deadline_at=timezone.now())

    look(provider, job)
    assert (job.status, job.cancel_reason) == (Status.CANCELING, "deadline")
    look(provider, job)
    provider.state = "completed"
    provider.on_result = result(status=499, error_type="client_cancelled", units=None)
    look(provider, job)

    assert (job.status, job.error["code"]) == (Status.FAILED, "timeout")
    assert money(job) == (10 * USD, 0, 0)


@pytest.mark.once
def test_a_success_after_the_deadline_is_delivered_all_the_same() -> None:
    provider, job = submitted()
    set_job(job, deadline_at=timezone.now())

    look(provider, job)

    assert job.status == Status.SUCCEEDED


@pytest.mark.once
def test_time_in_the_providers_queue_does_not_count() -> None:
    provider, job = submitted()
    provider.state = "queued"
    set_job(job, deadline_at=timezone.now() + timedelta(seconds=1))

    look(provider, job)

    assert job.deadline_at - timezone.now() > timedelta(seconds=50)


def test_a_job_that_nobody_ends_is_given_up_after_a_day() -> None:
    provider, job = submitted()
    provider.state = "running"
    set_job(job, submitted_at=timezone.now() - timedelta(hours=25))

    look(provider, job)

    assert (job.status, job.error["code"]) == (Status.FAILED, "timeout")
    assert money(job) == (10 * USD, 0, 0)


def test_our_own_queue_has_a_limit_too() -> None:
    job = make_job()
    assert overdue_in_queue() == []
    set_job(job, created_at=timezone.now() - timedelta(minutes=16))

    for found in overdue_in_queue():
        fail(found, failures.QUEUE_TIMEOUT)

    job.refresh_from_db()
    assert (job.status, job.error["code"]) == (Status.FAILED, "queue_timeout")
    assert money(job) == (10 * USD, 0, 0)


@pytest.mark.once
def test_a_key_that_is_refused_while_a_job_runs_is_told_and_the_job_goes_on() -> None:
    provider, job = submitted()
    provider.on_progress = KeyRefusedError("401")

    look(provider, job)

    assert job.status == Status.SUBMITTED
    assert Alert.objects.filter(code="provider_key_refused").exists()
    provider.on_progress = None
    assert look(provider, job).status == Status.SUCCEEDED


@pytest.mark.once
def test_an_unreachable_provider_is_asked_again_later() -> None:
    provider, job = submitted()
    provider.on_progress = UnreachableError("down")

    look(provider, job)

    assert (job.status, job.looks) == (Status.SUBMITTED, 1)
    assert job.next_at > timezone.now()


@pytest.mark.once
def test_a_request_that_the_provider_does_not_know_is_lost_after_some_looks() -> None:
    provider, job = submitted()
    provider.on_progress = RefusedError("404", 404, "NOT_FOUND")

    for _ in range(8):
        assert look(provider, job).status == Status.SUBMITTED
    look(provider, job)

    assert (job.status, job.error["code"]) == (Status.FAILED, "provider_error")


# --- claims ---


def test_a_client_of_which_nothing_is_said_has_ten_jobs_in_flight() -> None:
    caller = make_caller()
    for _ in range(11):
        make_job(caller)

    assert len(claim_queued(20)) == 10


def test_a_client_has_no_more_in_flight_than_it_may() -> None:
    caller = make_caller(max_in_flight=2)
    for _ in range(4):
        make_job(caller)

    assert len(claim_queued(10)) == 2
    assert claim_queued(10) == []


def test_no_more_goes_to_the_provider_than_its_account_takes(settings: object) -> None:
    settings.FAL_MAX_CONCURRENT = 3  # type: ignore[attr-defined]
    caller = make_caller()
    for _ in range(5):
        make_job(caller)

    assert len(claim_queued(10)) == 3
    assert claim_queued(10) == []


def test_clients_take_turns_and_a_long_queue_of_one_holds_up_nobody() -> None:
    alice, bob = make_caller(name="Alice"), make_caller(name="Bob")
    for _ in range(5):
        make_job(alice)
    late = make_job(bob)

    assert late.pk in [job.pk for job in claim_queued(2)]


def test_urgent_jobs_of_a_client_go_first() -> None:
    caller = make_caller()
    make_job(caller, low_priority=True)
    urgent = make_job(caller)

    assert [job.pk for job in claim_queued(1)] == [urgent.pk]


def test_a_claim_counts_the_attempt_before_the_work() -> None:
    make_job()

    claimed = claim_queued(1)[0]

    stored = Job.objects.get(pk=claimed.pk)
    assert (stored.status, stored.attempts, stored.version) == (Status.SUBMITTING, 1, claimed.version)
    assert stored.sent_at is not None
    assert timedelta(seconds=30) < stored.next_at - timezone.now() < lease()


def test_a_job_is_looked_at_by_one_dispatcher_at_a_time() -> None:
    _, job = submitted()
    set_job(job, next_at=timezone.now())

    assert len(claim_due(10)) == 1
    assert claim_due(10) == []


# --- the gate ---


def test_five_failures_in_a_row_open_the_gate_and_one_success_closes_it() -> None:
    provider = Provider()
    provider.on_submit = NotAcceptedError("connection refused", retry_after=0)
    job = make_job()
    for _ in range(5):
        submit(provider, job)
    assert claim_queued(10) == []
    assert Alert.objects.filter(code="provider_unreachable", resolved_at=None).exists()

    ProviderGate.objects.update(open_until=timezone.now())
    make_job(make_caller())
    trial = claim_queued(10)
    assert len(trial) == 1
    provider.on_submit = None
    submitting.apply(trial[0], submitting.ask(provider, trial[0]))

    assert ProviderGate.objects.get().failures == 0
    assert not Alert.objects.filter(code="provider_unreachable", resolved_at=None).exists()
    assert len(claim_queued(10)) == 1


# --- what is sent ---


@pytest.mark.once
def test_sync_mode_is_never_sent_and_the_safety_checker_stays_on() -> None:
    from tests.pricing.estimates.sold import IMAGES_OUT, PROMPT, field, make_sold

    make_sold(
        inputs=[PROMPT, field("sync_mode", "boolean"), field("enable_safety_checker", "boolean", default=True)],
        outputs=IMAGES_OUT,
    )
    provider, _ = submitted(input={"prompt": "a fox", "sync_mode": True})

    assert provider.sent == [{"prompt": "a fox", "enable_safety_checker": True}]


@pytest.mark.once
def test_the_input_that_is_looked_for_is_the_one_that_was_sent() -> None:
    provider, job = submitted()

    assert job.input_digest == digest_of(provider.sent[0])


@pytest.mark.once
def test_a_webhook_is_asked_for_only_where_we_can_be_reached(settings: object) -> None:
    provider, job = submitted()
    assert provider.webhooks == [""]

    settings.PUBLIC_URL = "https://media.example.com"  # type: ignore[attr-defined]
    provider, job = submitted()

    assert provider.webhooks == [f"https://media.example.com/webhooks/fal/{job.pk}/{job.token}"]


@pytest.mark.once
def test_raw_answers_are_kept_for_staff() -> None:
    provider, job = submitted()
    look(provider, job)

    assert list(ProviderAnswer.objects.filter(job=job).values_list("call", "status")) == [
        ("submit", 200),
        ("result", 200),
    ]


def test_m7_open_holds_are_the_jobs_whose_outcome_is_not_known() -> None:
    caller = make_caller()
    provider = Provider()
    for n in range(4):
        job = make_job(caller)
        if n % 2:
            submit(provider, job)
            look(provider, job)

    assert check_ledger() == []


def test_the_dispatcher_does_all_of_it_by_itself(monkeypatch: pytest.MonkeyPatch, transactional_db: None) -> None:
    from catalog.providers import queue

    provider = Provider()
    monkeypatch.setitem(queue._registry, "fal", lambda key: provider)
    job = make_job()
    dispatcher = Dispatcher(threads=2)

    for _ in range(200):
        dispatcher.tick()
        dispatcher._wait(0.02)
        job.refresh_from_db()
        if job.has_ended:
            break
    dispatcher.drain()

    assert (job.status, provider.calls) == (Status.SUCCEEDED, ["submit", "status", "result"])
