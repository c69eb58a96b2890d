"""Token buckets in the database: how many, how fast, and by whose clock."""

import time

import pytest
from django.db import connection, transaction

from genfeed.clients.limits.buckets import take
from genfeed.clients.models import RateBucket

pytestmark = pytest.mark.django_db


def pass_time(seconds: float, name: str = "b") -> None:
    """Moves the bucket into the past, which is the same as waiting."""
    bucket = RateBucket.objects.get(name=name)
    bucket.full_at -= round(seconds * 1_000_000)
    bucket.save()


def granted(tries: int, per_minute: int) -> int:
    return sum(take("b", per_minute=per_minute).count for _ in range(tries))


# A seventh of a minute is no whole number of µs.
@pytest.mark.parametrize("per_minute", [1, 7, 12])
def test_a_new_bucket_gives_a_minutes_worth_and_no_more(per_minute: int) -> None:
    assert granted(per_minute + 5, per_minute) == per_minute


def test_a_token_comes_back_after_its_share_of_a_minute() -> None:
    assert granted(20, 10) == 10

    pass_time(6)

    assert granted(20, 10) == 1


def test_no_more_than_a_minutes_worth_is_ever_saved() -> None:
    take("b", per_minute=10)

    pass_time(3600)

    assert granted(20, 10) == 10


def test_the_wait_is_true() -> None:
    granted(2, 2)
    refused = take("b", per_minute=2)

    pass_time(refused.wait / 1e6 - 5)
    assert not take("b", per_minute=2).count
    pass_time(5)
    assert take("b", per_minute=2).count


def test_what_is_left_is_told() -> None:
    assert [take("b", per_minute=3).left for _ in range(4)] == [2, 1, 0, 0]


def test_several_tokens_are_taken_together_or_not_at_all() -> None:
    assert take("b", per_minute=10, count=8).count
    assert not take("b", per_minute=10, count=3).count
    assert take("b", per_minute=10, count=2).count


def test_unused_tokens_come_back() -> None:
    take("b", per_minute=10, count=10)

    assert take("b", per_minute=10, count=5, back=8).count
    assert granted(10, 10) == 3


def test_tokens_that_come_back_to_a_full_bucket_are_lost() -> None:
    take("b", per_minute=10, count=5)
    pass_time(60)

    take("b", per_minute=10, count=1, back=5)

    assert granted(20, 10) == 9


def test_a_limit_of_nothing_refuses_without_a_row() -> None:
    assert not take("b", per_minute=0).count
    assert not RateBucket.objects.exists()


def test_buckets_are_each_for_themselves() -> None:
    granted(3, 3)

    assert take("another", per_minute=3).count


def test_a_refusal_writes_nothing() -> None:
    granted(3, 3)
    before = RateBucket.objects.get().full_at

    assert granted(5, 3) == 0

    assert RateBucket.objects.get().full_at == before


def test_what_is_rolled_back_was_not_taken() -> None:
    with transaction.atomic():
        granted(3, 3)
        transaction.set_rollback(True)

    assert granted(5, 3) == 3


def test_a_raised_limit_counts_at_once() -> None:
    granted(6, 6)
    pass_time(10)

    assert granted(20, 12) == 2


@pytest.mark.parametrize("hours", [-5, 5])
def test_the_clock_of_the_process_changes_nothing(hours: int, monkeypatch: pytest.MonkeyPatch) -> None:
    granted(2, 10)
    real = time.time()
    monkeypatch.setattr(time, "time", lambda: real + hours * 3600)
    monkeypatch.setattr(time, "monotonic", lambda: real + hours * 3600)

    assert granted(20, 10) == 8


def test_a_database_whose_clock_was_put_back_locks_nobody_out() -> None:
    granted(10, 10)

    pass_time(-3600)

    assert granted(20, 10) == 10


def test_taking_is_one_statement() -> None:
    connection.force_debug_cursor = True
    try:
        connection.queries_log.clear()
        take("b", per_minute=10)
        assert len(connection.queries_log) == 1
    finally:
        connection.force_debug_cursor = False
