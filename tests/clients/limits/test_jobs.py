"""The limit of what creates jobs: whom it counts for, and that a refusal takes nothing."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import transaction

from genfeed.clients import keys
from genfeed.clients.errors import ApiError
from genfeed.clients.keys import Caller, find_caller
from genfeed.clients.limits.jobs import limit_jobs
from genfeed.clients.models import ApiKey, Client, RateBucket

pytestmark = pytest.mark.django_db


def set_limit(row: type[ApiKey] | type[Client], limit: int) -> None:
    row.objects.update(jobs_per_minute=limit)
    keys._cache.clear()


@pytest.fixture
def caller(make_key: Callable[..., str], settings: Any) -> Caller:
    settings.JOBS_PER_MINUTE = 3
    return caller_of(make_key("jobs:write"))


def caller_of(text: str) -> Caller:
    found = find_caller(text)
    assert found
    return found


def accept(caller: Caller, **more: Any) -> bool:
    """Whether a job would be accepted, in a transaction of its own."""
    try:
        with transaction.atomic():
            limit_jobs(caller, **more)
    except ApiError:
        return False
    return True


def buckets() -> dict[str, int]:
    return dict(RateBucket.objects.values_list("name", "full_at"))


def test_the_limit_is_that_of_the_settings(caller: Caller) -> None:
    assert [accept(caller) for _ in range(5)] == [True, True, True, False, False]


def test_that_of_the_client_comes_before_the_settings(make_key: Callable[..., str]) -> None:
    text = make_key("jobs:write")
    set_limit(Client, 1)

    assert [accept(caller_of(text)) for _ in range(3)] == [True, False, False]


def test_that_of_the_key_narrows_the_clients(make_key: Callable[..., str]) -> None:
    text = make_key("jobs:write")
    set_limit(ApiKey, 1)

    assert [accept(caller_of(text)) for _ in range(3)] == [True, False, False]
    assert accept(caller_of(make_key("jobs:write")))


def test_a_key_never_gets_past_its_client(caller: Caller, make_key: Callable[..., str]) -> None:
    text = make_key("jobs:write")
    set_limit(ApiKey, 100)

    assert [accept(caller_of(text)) for _ in range(5)] == [True, True, True, False, False]


def test_what_the_client_refuses_takes_nothing_from_the_key(make_key: Callable[..., str]) -> None:
    text = make_key("jobs:write")
    set_limit(Client, 5)
    set_limit(ApiKey, 4)
    assert accept(caller_of(make_key("jobs:write")), count=3)

    assert not accept(caller_of(text), count=3)

    assert list(buckets()) == [f"client:{Client.objects.get().pk}:jobs"]


def test_a_limit_of_nothing_refuses_and_says_so(make_key: Callable[..., str]) -> None:
    text = make_key("jobs:write")
    set_limit(ApiKey, 0)

    with pytest.raises(ApiError, match="No job is allowed to this key: its limit is 0 a minute"), transaction.atomic():
        limit_jobs(caller_of(text))


def test_a_refusal_says_how_many_are_allowed_and_how_long_to_wait(caller: Caller) -> None:
    accept(caller, count=3)

    with pytest.raises(ApiError) as caught, transaction.atomic():
        limit_jobs(caller)

    error = caught.value
    assert (error.code, error.status) == ("rate_limited", 429)
    # A third of a minute, less what the test took.
    assert error.retry_after in range(15, 21)
    assert error.message == "Too many jobs: this client may send 3 a minute."
    assert error.hint.startswith(f"Wait {error.retry_after} s, then go on more slowly")
    assert error.details == {"limit": "jobs", "of": "client", "per_minute": 3}


def test_a_refusal_takes_from_no_bucket(caller: Caller) -> None:
    accept(caller, count=2)
    before = buckets()

    assert not accept(caller, count=2)

    assert buckets() == before
    assert accept(caller)


def test_what_is_refused_later_in_the_transaction_took_no_token(caller: Caller) -> None:
    with transaction.atomic():
        limit_jobs(caller)
        transaction.set_rollback(True)

    assert buckets() == {}


def test_the_keys_of_a_client_share_its_bucket(caller: Caller, make_key: Callable[..., str]) -> None:
    accept(caller, count=3)

    assert not accept(caller_of(make_key("jobs:write")))


def test_clients_do_not_share_theirs(caller: Caller, make_key: Callable[..., str]) -> None:
    accept(caller, count=3)

    assert accept(caller_of(make_key("jobs:write", client="Another")))


@pytest.mark.django_db(transaction=True)
def test_outside_of_a_transaction_it_is_a_mistake(caller: Caller) -> None:
    with pytest.raises(RuntimeError):
        limit_jobs(caller)
