"""Several real processes at one bucket: exactly as many get through as the limit says."""

import multiprocessing
import time
from collections.abc import Callable

import pytest
from django.db import connections, transaction

from genfeed.clients import keys
from genfeed.clients.errors import ApiError
from genfeed.clients.keys import Caller
from genfeed.clients.limits import reads
from genfeed.clients.limits.buckets import take
from genfeed.clients.limits.jobs import limit_jobs
from genfeed.clients.limits.reads import limit_request

pytestmark = pytest.mark.django_db(transaction=True)
PROCESSES = 4


def in_processes(work: Callable[[], int]) -> int:
    """The sum of what several processes return that begin together, each with connections of its own."""
    connections.close_all()
    context = multiprocessing.get_context("fork")
    start, results = context.Barrier(PROCESSES), context.Queue()

    def run() -> None:
        start.wait(60)
        results.put(work())
        connections.close_all()

    children = [context.Process(target=run) for _ in range(PROCESSES)]
    for child in children:
        child.start()
    total = sum(results.get(timeout=120) for _ in children)
    for child in children:
        child.join(60)
    return total


def caller_of(text: str) -> Caller:
    found = keys.find_caller(text)
    assert found
    return found


def test_exactly_as_many_tokens_are_taken_as_there_are(db: None) -> None:
    # Half a minute for a token: none comes back while they try.
    assert in_processes(lambda: sum(take("b", per_minute=2).count for _ in range(20))) == 2


def test_exactly_as_many_jobs_are_accepted_and_those_undone_count_for_nothing(
    make_key: Callable[..., str], settings: object
) -> None:
    settings.JOBS_PER_MINUTE = 3  # type: ignore[attr-defined]
    caller = caller_of(make_key("jobs:write"))

    def work() -> int:
        accepted = 0
        for number in range(20):
            try:
                with transaction.atomic():
                    limit_jobs(caller)
                    # As where money is short.
                    transaction.set_rollback(number % 2 == 0)
                    accepted += number % 2
            except ApiError:
                pass
        return accepted

    assert in_processes(work) == 3


def test_leases_of_all_processes_together_stay_within_the_stated_bound(
    make_key: Callable[..., str], settings: object
) -> None:
    settings.READS_PER_MINUTE = 600  # type: ignore[attr-defined]
    caller = caller_of(make_key())
    take(f"client:{caller.client_id}:reads", per_minute=600, count=600)
    began = time.monotonic()

    def work() -> int:
        reads.forget()
        passed, until = 0, time.monotonic() + 2.5
        while time.monotonic() < until:
            try:
                limit_request(caller)
                passed += 1
            except ApiError:
                time.sleep(0.001)
        return passed

    passed = in_processes(work)

    assert 0 < passed <= 10 * (time.monotonic() - began + 2)
