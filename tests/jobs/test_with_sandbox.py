"""Every fault of the provider, over HTTP: no job is lost, none is sent twice, none is charged twice."""

from datetime import timedelta

import pytest
from django.utils import timezone

from genfeed.journal.models import Alert
from jobs.canceling import cancel
from jobs.dispatching.dispatcher import Dispatcher
from jobs.models import Job, ProviderGate, Status
from pricing.ledger.checking import check_ledger
from pricing.models import UsageRecord
from tests.jobs.conftest import Run
from tests.jobs.doubles import USD, make_caller, make_job, money, set_job
from tests.sandbox_server import RunningSandbox

pytestmark = pytest.mark.django_db

SUBMITS = {"match": "^/queue/", "method": "POST"}


def accepted(sandbox: RunningSandbox) -> int:
    """How many requests the provider has ever accepted."""
    return sandbox.queue()["accepted"]


def has_sent(job: Job) -> bool:
    return job.status == Status.SUBMITTED


def test_a_job_is_run_and_charged_for_the_units_that_the_result_bills(run: Run, sandbox: RunningSandbox) -> None:
    job = run()

    assert (job.status, job.cost_source) == (Status.SUCCEEDED, "billable_units")
    assert job.output["images"][0]["width"] == 1024
    assert job.billed_units
    assert job.cost > 0
    assert money(job) == (10 * USD - job.charge, 0, job.charge)
    assert accepted(sandbox) == 1
    assert check_ledger() == []


@pytest.mark.once
def test_a_prompt_goes_out_as_a_value_and_is_nowhere_else(run: Run, sandbox: RunningSandbox) -> None:
    prompt = 'a fox"}\r\nX-Evil: 1\r\n\r\n?evil=1&#</script>\u2028'
    sandbox.clear_requests()

    job = run(input={"prompt": prompt})

    assert job.status == Status.SUCCEEDED
    (sent,) = sandbox.queue()["requests"]
    assert sent["input"]["prompt"] == prompt
    assert [one for one in sandbox.requests() if "evil" in f"{one['path']}?{one['query']}".lower()] == []


def test_a_submit_whose_answer_is_lost_is_found_and_not_sent_again(run: Run, sandbox: RunningSandbox) -> None:
    sandbox.faults(fail=[{**SUBMITS, "accepted": True, "drop": True, "times": 1}])

    job = run()

    assert (job.status, accepted(sandbox), job.attempts) == (Status.SUCCEEDED, 1, 1)


@pytest.mark.once
def test_a_submit_that_is_answered_with_an_error_after_it_was_accepted_is_found(
    run: Run, sandbox: RunningSandbox
) -> None:
    sandbox.faults(fail=[{**SUBMITS, "accepted": True, "status": 502, "times": 1}])

    assert (run().status, accepted(sandbox)) == (Status.SUCCEEDED, 1)


@pytest.mark.once
def test_a_submit_whose_answer_is_late_is_found(run: Run, sandbox: RunningSandbox, settings: object) -> None:
    settings.SUBMIT_TIMEOUT_SECONDS = 0.3  # type: ignore[attr-defined]
    sandbox.faults(fail=[{**SUBMITS, "hold": 1.0, "times": 1}])

    assert (run().status, accepted(sandbox)) == (Status.SUCCEEDED, 1)


@pytest.mark.once
def test_a_submit_that_never_arrived_is_given_up_after_the_grace_period(
    run: Run, sandbox: RunningSandbox, settings: object
) -> None:
    settings.SUBMIT_GRACE_SECONDS = 1  # type: ignore[attr-defined]
    sandbox.faults(fail=[{**SUBMITS, "drop": True, "times": 1}])

    job = run()

    assert (job.status, job.error["code"], accepted(sandbox)) == (Status.FAILED, "submit_unknown", 0)
    assert money(job) == (10 * USD, 0, 0)


@pytest.mark.once
def test_a_submit_that_is_limited_is_sent_later(run: Run, sandbox: RunningSandbox) -> None:
    sandbox.faults(fail=[{**SUBMITS, "status": 429, "retry_after": 1, "times": 2}])

    job = run()

    assert (job.status, job.attempts, accepted(sandbox)) == (Status.SUCCEEDED, 3, 1)


@pytest.mark.once
def test_an_exhausted_account_stops_everything_and_costs_the_client_nothing(run: Run, sandbox: RunningSandbox) -> None:
    sandbox.faults(balance=0)

    job = run()

    assert (job.status, job.error["code"], accepted(sandbox)) == (Status.FAILED, "provider_unavailable", 0)
    assert money(job) == (10 * USD, 0, 0)
    assert Alert.objects.get(code="provider_locked").level == "critical"
    assert ProviderGate.objects.get().open_until > timezone.now()


@pytest.mark.once
def test_a_wrong_key_is_our_problem(run: Run, sandbox: RunningSandbox, settings: object) -> None:
    settings.FAL_KEY = "wrong:key"  # type: ignore[attr-defined]

    job = run()

    assert (job.error["code"], Alert.objects.get(code="provider_key_refused").level) == (
        "provider_unavailable",
        "critical",
    )
    assert "wrong:key" not in str(job.error)


@pytest.mark.once
def test_a_model_that_is_gone_fails_the_job_by_name(run: Run, sandbox: RunningSandbox) -> None:
    sandbox.faults(gone=["fal-ai/flux/dev"])

    assert run().error["code"] == "model_retired"


@pytest.mark.once
@pytest.mark.parametrize(
    ("error", "code", "charged"),
    [
        ({"status": 422, "type": "content_policy_violation"}, "content_refused", 0),
        ({"status": 422, "type": "no_media_generated", "units": 1}, "provider_error", 0),
        ({"status": 503, "error_type": "runner_disconnected"}, "provider_unavailable", 0),
        ({"status": 500, "type": "internal_server_error"}, "provider_error", 0),
        ({"status": 504, "error_type": "request_timeout"}, "timeout", 0),
    ],
)
def test_late_errors_fail_the_job(
    run: Run, sandbox: RunningSandbox, error: dict[str, object], code: str, charged: int
) -> None:
    sandbox.faults(jobs=[{"error": error}])

    job = run()

    assert (job.status, job.error["code"], job.charge) == (Status.FAILED, code, charged)
    assert money(job) == (10 * USD, 0, 0)
    assert UsageRecord.objects.get(job=job.pk).outcome == "failed"


@pytest.mark.once
def test_results_that_fail_for_a_while_are_fetched_again(run: Run, sandbox: RunningSandbox) -> None:
    sandbox.faults(fail=[{"match": "/requests/[^/]+$", "method": "GET", "status": 502, "times": 3}])

    assert run().status == Status.SUCCEEDED


@pytest.mark.once
def test_a_status_that_fails_for_a_while_is_asked_again(run: Run, sandbox: RunningSandbox) -> None:
    sandbox.faults(fail=[{"match": "/status", "status": 503, "times": 6}])

    assert run().status == Status.SUCCEEDED


@pytest.mark.once
@pytest.mark.parametrize("body", ["html", "malformed", "empty", "wrong_shape"])
def test_a_status_in_nonsense_is_asked_again(run: Run, sandbox: RunningSandbox, body: str) -> None:
    sandbox.faults(fail=[{"match": "/status", "body": body, "times": 2}])

    assert run().status == Status.SUCCEEDED


@pytest.mark.once
def test_a_missing_header_of_units_charges_the_estimate(run: Run, sandbox: RunningSandbox) -> None:
    sandbox.faults(jobs=[{"no_units_header": True}])

    job = run()

    assert (job.status, job.cost_source, job.cost) == (Status.SUCCEEDED, "estimated", job.quote["cost"])


@pytest.mark.once
@pytest.mark.parametrize("times", [20, 0.05])
def test_units_that_make_no_sense_wait_for_a_person(run: Run, sandbox: RunningSandbox, times: float) -> None:
    sandbox.faults(jobs=[{"units_times": times}])

    job = run()

    assert (job.status, job.charge) == (Status.SUCCEEDED, job.quote["price"])
    assert Alert.objects.filter(code="bill_quarantined", subject=job.pk).exists()


@pytest.mark.once
def test_a_result_without_its_media_is_a_failure(run: Run, sandbox: RunningSandbox) -> None:
    sandbox.faults(jobs=[{"no_media": True}])

    assert run().error["code"] == "provider_error"


@pytest.mark.once
def test_a_request_that_fal_puts_back_into_its_queue_goes_on(run: Run, sandbox: RunningSandbox) -> None:
    sandbox.faults(jobs=[{"requeue": 2}])

    assert run().status == Status.SUCCEEDED


@pytest.mark.once
def test_a_stuck_request_is_canceled_at_its_deadline(run: Run, sandbox: RunningSandbox) -> None:
    sandbox.faults(jobs=[{"stuck": "IN_PROGRESS"}])
    job = run(lambda job: job.status == Status.RUNNING)

    set_job(job, deadline_at=timezone.now(), next_at=timezone.now())
    run(job=job)

    assert (job.status, job.error["code"]) == (Status.FAILED, "timeout")
    assert money(job) == (10 * USD, 0, 0)


@pytest.mark.once
def test_a_request_in_fals_queue_is_canceled(run: Run, sandbox: RunningSandbox) -> None:
    sandbox.faults(concurrency=0)
    job = run(has_sent)

    cancel(job)
    run(job=job)

    assert (job.status, money(job)) == (Status.CANCELED, (10 * USD, 0, 0))


@pytest.mark.once
def test_a_running_request_is_canceled(run: Run, sandbox: RunningSandbox) -> None:
    sandbox.faults(jobs=[{"stuck": "IN_PROGRESS"}])
    job = run(lambda job: job.status == Status.RUNNING)

    cancel(job)
    run(job=job)

    assert job.status == Status.CANCELED
    assert check_ledger() == []


def test_a_cancel_that_comes_too_late_is_delivered_and_charged(run: Run, sandbox: RunningSandbox) -> None:
    sandbox.faults(processing_ms=300, jobs=[{"cancel": "too_late"}])
    job = run(lambda job: job.status in (Status.RUNNING, Status.SUBMITTED))

    cancel(job)
    run(job=job)

    assert (job.status, job.charge > 0) == (Status.SUCCEEDED, True)


@pytest.mark.once
def test_a_provider_that_is_away_is_waited_for(run: Run, sandbox: RunningSandbox, settings: object) -> None:
    job = make_job(make_caller())
    settings.FAL_QUEUE_URL, real = "http://127.0.0.1:9", settings.FAL_QUEUE_URL  # type: ignore[attr-defined]
    away = Dispatcher(threads=1)
    while job.attempts < 1 or job.status != Status.QUEUED:
        away.tick()
        away._wait(0.01)
        job.refresh_from_db()
    away.drain()
    assert money(job)[1] == job.hold_amount

    settings.FAL_QUEUE_URL = real  # type: ignore[attr-defined]
    set_job(job, next_at=timezone.now())
    run(job=job)

    assert (job.status, accepted(sandbox)) == (Status.SUCCEEDED, 1)


def test_a_dispatcher_that_died_right_after_the_submit_loses_nothing(run: Run, sandbox: RunningSandbox) -> None:
    # What a kill leaves behind: the provider has the request, our row says `submitting`, the lease runs out.
    from catalog.providers import queue
    from jobs.dispatching import submitting
    from jobs.dispatching.claiming import claim_queued

    make_job(make_caller())
    job = claim_queued(1)[0]
    submitting.ask(queue.open_queue("fal"), job)
    set_job(job, next_at=timezone.now())

    run(job=job)

    assert (job.status, accepted(sandbox)) == (Status.SUCCEEDED, 1)


def test_two_dispatchers_do_nothing_twice(run: Run, sandbox: RunningSandbox) -> None:
    caller = make_caller()
    jobs = [make_job(caller, input={"prompt": f"fox {number}"}) for number in range(8)]
    pair = [Dispatcher(threads=2) for _ in range(2)]

    deadline = timezone.now() + timedelta(seconds=20)
    while Job.objects.exclude(status=Status.SUCCEEDED).exists():
        assert timezone.now() < deadline
        for one in pair:
            one.tick()
            one._wait(0.005)
    for one in pair:
        one.drain()

    assert accepted(sandbox) == UsageRecord.objects.count() == len(jobs)
    assert check_ledger() == []
