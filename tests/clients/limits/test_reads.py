"""The limit of all requests: leased by the second, counted in memory."""

import random
import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from genfeed.clients.errors import ApiError
from genfeed.clients.keys import Caller, find_caller
from genfeed.clients.limits import reads
from genfeed.clients.limits.buckets import take
from genfeed.clients.limits.reads import limit_request
from tests.clients.limits.clock import Clock, Processes, clock

__all__ = ["clock"]
pytestmark = pytest.mark.django_db


@pytest.fixture
def caller(make_key: Callable[..., str], settings: Any) -> Callable[[int], Caller]:
    """A caller with so many requests a minute."""

    def make(per_minute: int) -> Caller:
        settings.READS_PER_MINUTE = per_minute
        found = find_caller(make_key())
        assert found
        return found

    return make


def passes(caller: Caller) -> bool:
    try:
        limit_request(caller)
    except ApiError:
        return False
    return True


def refusal(caller: Caller) -> ApiError:
    with pytest.raises(ApiError) as caught:
        limit_request(caller)
    return caught.value


def bucket_of(caller: Caller) -> str:
    return f"client:{caller.client_id}:reads"


def drain(caller: Caller) -> None:
    take(bucket_of(caller), per_minute=caller.reads_per_minute, count=caller.reads_per_minute)


def test_a_minutes_worth_may_come_at_once_and_no_more(caller: Callable[[int], Caller], clock: Clock) -> None:
    acme = caller(12)

    assert sum(passes(acme) for _ in range(30)) == 12


def test_afterwards_they_pass_at_the_pace_of_the_limit(caller: Callable[[int], Caller], clock: Clock) -> None:
    acme = caller(60)
    drain(acme)
    passed = 0
    for _ in range(300):
        clock.advance(0.1)
        passed += passes(acme)

    assert passed in range(28, 33)


def test_a_refusal_says_who_is_limited_and_for_how_long(caller: Callable[[int], Caller], clock: Clock) -> None:
    acme = caller(2)
    drain(acme)

    error = refusal(acme)

    assert (error.code, error.status) == ("rate_limited", 429)
    assert error.retry_after in range(25, 31)
    assert error.message == "Too many requests: this client may send 2 a minute."
    assert error.details == {"limit": "reads", "of": "client", "per_minute": 2}


@pytest.mark.parametrize("per_minute", [2, 7, 60, 6000])
def test_who_waits_as_long_as_told_is_served(caller: Callable[[int], Caller], clock: Clock, per_minute: int) -> None:
    acme = caller(per_minute)
    drain(acme)
    for _ in range(3):
        while passes(acme):
            pass
        told = refusal(acme).retry_after
        assert told

        clock.advance(told)

        assert passes(acme)


def test_the_bucket_is_not_asked_again_before_that(caller: Callable[[int], Caller], clock: Clock) -> None:
    acme = caller(2)
    drain(acme)
    refusal(acme)
    asked = clock.asked

    assert not any(passes(acme) for _ in range(50))

    assert clock.asked == asked


def test_a_second_of_many_requests_costs_few_statements(caller: Callable[[int], Caller], clock: Clock) -> None:
    acme = caller(600_000)
    for _ in range(1000):
        limit_request(acme)
    assert clock.asked <= 10

    clock.advance(1.01)
    with CaptureQueriesContext(connection) as captured:
        for _ in range(1000):
            limit_request(acme)

    # And the one that moves the bucket.
    assert len(captured) == 2


def test_what_a_second_left_over_comes_back(caller: Callable[[int], Caller], clock: Clock) -> None:
    acme = caller(100)
    for _ in range(10):
        limit_request(acme)
    clock.advance(1.01)
    limit_request(acme)
    clock.advance(1.01)
    limit_request(acme)

    # 12 used, of which the two seconds filled 3.
    assert take(bucket_of(acme), per_minute=100).left >= 100 - 12 - 1


def test_what_an_idle_process_leased_is_lost_and_soon_filled(caller: Callable[[int], Caller], clock: Clock) -> None:
    acme = caller(100)
    for _ in range(20):
        limit_request(acme)
    clock.advance(60)

    assert sum(passes(acme) for _ in range(300)) == 100


def test_a_raised_limit_counts_at_once(caller: Callable[[int], Caller], clock: Clock) -> None:
    acme = caller(0)
    assert "its limit is 0 a minute" in refusal(acme).message

    assert passes(caller_with(acme, 5))


def caller_with(caller: Caller, per_minute: int) -> Caller:
    return Caller(**{**vars(caller), "reads_per_minute": per_minute, "client_reads_per_minute": per_minute})


def test_a_key_with_a_smaller_limit_is_bound_by_it(caller: Callable[[int], Caller], clock: Clock) -> None:
    acme = caller(10)
    narrow = Caller(**{**vars(acme), "reads_per_minute": 3})

    assert sum(passes(narrow) for _ in range(10)) == 3
    assert sum(passes(acme) for _ in range(10)) == 7


@pytest.mark.parametrize("seed", range(5))
def test_processes_together_pass_at_most_what_two_seconds_more_would_fill(
    caller: Callable[[int], Caller], clock: Clock, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """The stated overshoot, looked for in every stretch of time of a random load on four processes."""
    per_minute = 1200
    acme, dice, four = caller(per_minute), random.Random(seed), Processes(4)
    began, passed = clock.now, []
    while clock.now < began + 30:
        # Silence lets the bucket fill, and bursts then come to all of them.
        clock.advance(dice.choice([0.001, 0.01, 0.3, 1.5, 4.0]))
        for _ in range(dice.choice([1, 20, 200])):
            four.use(dice.randrange(4), monkeypatch)
            if passes(acme):
                passed.append(clock.now)

    for first, start in enumerate(passed):
        for last in range(first, len(passed), 7):
            most = per_minute + (passed[last] - start + 2) * per_minute / 60
            # The time of the database that the test itself took is not on the clock.
            assert last - first + 1 <= most + 3 * per_minute / 60


def test_who_stays_below_the_limit_is_never_refused_whatever_process_answers(
    caller: Callable[[int], Caller], clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    acme, dice, four = caller(1200), random.Random(1), Processes(4)
    take(bucket_of(acme), per_minute=1200, count=1100)
    for _ in range(20 * 60):
        clock.advance(dice.expovariate(16))
        four.use(dice.randrange(4), monkeypatch)
        limit_request(acme)


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(connection.vendor != "sqlite", reason="PostgreSQL has many writers")
def test_a_long_writer_does_not_hold_up_reads_and_lets_a_seconds_share_pass(
    caller: Callable[[int], Caller], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reads, "_PATIENCE_SECONDS", 0.001)
    monkeypatch.setattr(reads, "_LEASE_SECONDS", 60.0)
    acme = caller(600)
    writing, done = threading.Event(), threading.Event()

    def write() -> None:
        with transaction.atomic():
            writing.set()
            done.wait(20)
        connection.close()

    writer = threading.Thread(target=write)
    writer.start()
    writing.wait(20)
    try:
        assert sum(passes(acme) for _ in range(100)) in range(1, 11)
    finally:
        done.set()
        writer.join()
