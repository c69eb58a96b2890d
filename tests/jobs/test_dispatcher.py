"""The dispatcher's loop, and news that meet a job which changed meanwhile."""

import threading
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import DataError, OperationalError, connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from catalog.providers import queue
from catalog.providers.queue import RefusedError, UnreachableError
from jobs import webhooks_in
from jobs.canceling import cancel
from jobs.dispatching import dispatcher, submitting, watching
from jobs.dispatching.claiming import claim_queued
from jobs.dispatching.dispatcher import Dispatcher, Step
from jobs.models import Job, ProviderGate, Status
from pricing.ledger.checking import check_ledger
from tests.jobs.doubles import PRICE, USD, Provider, look, make_caller, make_job, money, result, submitted

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch) -> Provider:
    """The only provider that dispatchers know."""
    one = Provider()
    monkeypatch.setattr(queue, "_registry", {"fal": lambda key: one})
    return one


@pytest.fixture
def loop() -> Iterator[Dispatcher]:
    one = Dispatcher(threads=2)
    yield one
    one.drain()


def work(loop: Dispatcher, job: Job, status: str) -> None:
    """Rounds until the job is there."""
    for _ in range(200):
        job.refresh_from_db()
        if job.status == status:
            return
        loop.tick()
        loop._wait(0.01)
    raise AssertionError(f"{job.status} instead of {status}")


def failing_once(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """The next submit can't be written down."""
    errors = [error]

    def apply(job: Job, outcome: Any) -> None:
        if errors:
            # As a commit that fails: the job at hand says one thing, the database another.
            job.status, job.version = Status.SUBMITTED, job.version + 1
            raise errors.pop()
        submitting.apply(job, outcome)

    monkeypatch.setattr(dispatcher, "SUBMIT", Step(submitting.ask, apply))


def test_a_provider_is_opened_once_and_before_anything_is_claimed(
    monkeypatch: pytest.MonkeyPatch, loop: Dispatcher
) -> None:
    job = make_job()
    opened: list[str] = []

    def open_queue(key: str | None) -> Provider:
        job.refresh_from_db()
        opened.append(job.status)
        return Provider()

    monkeypatch.setattr(queue, "_registry", {"fal": open_queue})

    work(loop, job, Status.SUBMITTED)

    assert opened == [Status.QUEUED]


def test_a_long_queue_costs_a_round_no_more_statements_than_a_short_one(provider: Provider) -> None:
    caller = make_caller(100, max_queued=100)

    def statements(queued: int) -> int:
        for _ in range(queued):
            make_job(caller)
        with CaptureQueriesContext(connection) as seen:
            assert len(claim_queued(1)) == 1
        return len(seen)

    statements(1)
    assert statements(2) == statements(20)


def test_while_all_places_at_the_provider_are_taken_nothing_is_locked(
    django_assert_num_queries: Any, settings: Any
) -> None:
    settings.FAL_MAX_CONCURRENT = 1
    submitted()
    make_job()

    with django_assert_num_queries(2) as seen:
        assert claim_queued(5) == []

    assert all(query["sql"].startswith("SELECT") for query in seen.captured_queries)


def test_no_more_calls_are_made_at_once_than_there_are_threads(loop: Dispatcher, provider: Provider) -> None:
    answers = threading.Event()
    provider.on_submit = lambda: answers.wait(10)
    caller = make_caller()
    for _ in range(5):
        make_job(caller)
    try:
        for _ in range(3):
            loop.tick()

        assert Job.objects.filter(status=Status.SUBMITTING).count() == 2
    finally:
        answers.set()


def test_one_thread_does_for_many_jobs_that_take_long(provider: Provider) -> None:
    provider.state = "running"
    caller = make_caller()
    jobs = [make_job(caller) for _ in range(3)]
    one = Dispatcher(threads=1)
    try:
        for job in jobs:
            work(one, job, Status.RUNNING)
    finally:
        one.drain()

    assert provider.calls.count("submit") == 3


def test_looks_come_before_submits_and_leave_them_some_threads(provider: Provider) -> None:
    answers = threading.Event()
    provider.on_submit = provider.on_progress = lambda: answers.wait(10)
    caller = make_caller(max_in_flight=100)
    for number in range(8):
        make_job(caller)
        submitting.adopt(claim_queued(1)[0], queue.Request("fal-ai/flux/dev", f"run-{number}"))
    Job.objects.update(next_at=timezone.now())
    for _ in range(8):
        make_job(caller)
    one = Dispatcher(threads=8)
    try:
        one.tick()

        assert Job.objects.filter(status=Status.SUBMITTING).count() == 2
        assert Job.objects.filter(status=Status.SUBMITTED, next_at__gt=timezone.now()).count() == 6
    finally:
        answers.set()
        one.drain()


def test_submits_that_a_slow_provider_holds_leave_looks_some_threads(provider: Provider) -> None:
    answers = threading.Event()
    caller = make_caller(max_in_flight=100)
    sent = make_job(caller)
    submitting.adopt(claim_queued(1)[0], queue.Request("fal-ai/flux/dev", "run-1"))
    Job.objects.update(next_at=timezone.now() + timedelta(minutes=1))
    provider.on_submit = lambda: answers.wait(10)
    for _ in range(20):
        make_job(caller)
    one = Dispatcher(threads=8)
    try:
        for _ in range(3):
            one.tick()
        assert Job.objects.filter(status=Status.SUBMITTING).count() == 6

        Job.objects.filter(pk=sent.pk).update(next_at=timezone.now())
        one.tick()
        one._wait(5)

        assert Job.objects.get(pk=sent.pk).has_ended
    finally:
        answers.set()
        one.drain()


def test_what_a_provider_said_while_the_database_was_away_is_written_down_later(
    monkeypatch: pytest.MonkeyPatch, loop: Dispatcher, provider: Provider
) -> None:
    job = make_job()
    failing_once(monkeypatch, OperationalError("database is locked"))
    with pytest.raises(OperationalError):
        work(loop, job, Status.SUBMITTED)

    work(loop, job, Status.SUBMITTED)

    assert (job.request_id, provider.calls.count("submit"), provider.calls.count("find")) == ("req-1", 1, 0)


def test_what_the_database_refuses_for_good_stops_nobody_else(
    monkeypatch: pytest.MonkeyPatch, loop: Dispatcher, provider: Provider
) -> None:
    first = make_job()
    failing_once(monkeypatch, DataError("no such value"))
    for _ in range(5):
        loop.tick()
        loop._wait(0.01)

    second = make_job()
    work(loop, second, Status.SUBMITTED)

    first.refresh_from_db()
    assert first.status == Status.SUBMITTING


def test_a_claim_that_a_stopped_process_kept_for_too_long_is_not_sent(settings: Any) -> None:
    provider, job = Provider(), make_job()
    claimed = claim_queued(1)[0]
    claimed.sent_at = timezone.now() - timedelta(seconds=settings.SUBMIT_GRACE_SECONDS)

    submitting.apply(claimed, submitting.ask(provider, claimed))

    job.refresh_from_db()
    assert (job.status, provider.calls, ProviderGate.objects.get().failures) == (Status.QUEUED, [], 0)


def test_a_result_ends_a_job_whose_cancel_came_while_it_was_fetched() -> None:
    provider, job = submitted()

    def finished() -> Any:
        cancel(Job.objects.get(pk=job.pk))
        return result()

    provider.on_result = finished
    look(provider, job)

    assert (job.status, money(job)) == (Status.SUCCEEDED, (10 * USD - PRICE, 0, PRICE))
    assert check_ledger() == []


def test_a_result_ends_a_job_whose_webhook_came_while_it_was_fetched() -> None:
    provider, job = submitted()

    def finished() -> Any:
        webhooks_in.note(Job.objects.get(pk=job.pk), job.request_id)
        return result()

    provider.on_result = finished

    assert look(provider, job).status == Status.SUCCEEDED


@pytest.mark.parametrize("state", ["running", "queued"])
def test_a_look_that_came_too_early_does_not_put_off_what_a_webhook_told(state: str, settings: Any) -> None:
    settings.PUBLIC_URL = "https://genfeed.example"
    provider, job = submitted()
    provider.state = state
    provider.on_progress = lambda: webhooks_in.note(Job.objects.get(pk=job.pk), job.request_id)

    look(provider, job)

    assert job.next_at <= timezone.now()


def test_a_look_in_vain_does_not_put_off_what_a_webhook_told(settings: Any) -> None:
    settings.PUBLIC_URL = "https://genfeed.example"
    provider, job = submitted()

    def in_vain() -> None:
        webhooks_in.note(Job.objects.get(pk=job.pk), job.request_id)
        raise UnreachableError("no")

    provider.on_progress = in_vain
    look(provider, job)

    assert job.next_at <= timezone.now()


def test_a_refused_submit_ends_a_job_whose_cancel_came_meanwhile() -> None:
    provider, job = Provider(), make_job()
    claimed = claim_queued(1)[0]
    provider.on_submit = RefusedError("no", 422, "bad prompt")
    outcome = submitting.ask(provider, claimed)
    cancel(Job.objects.get(pk=job.pk))

    submitting.apply(claimed, outcome)

    job.refresh_from_db()
    assert (job.status, money(job)) == (Status.FAILED, (10 * USD, 0, 0))


def test_two_looks_at_once_end_a_job_once() -> None:
    provider, job = submitted()
    first, second = Job.objects.get(pk=job.pk), Job.objects.get(pk=job.pk)
    seen = watching.ask(provider, job)

    watching.apply(first, seen)
    watching.apply(second, seen)

    job.refresh_from_db()
    assert (job.status, money(job)) == (Status.SUCCEEDED, (10 * USD - PRICE, 0, PRICE))
    assert job.events.filter(kind="job_succeeded").count() == 1
