"""Counting the uses of keys: exact in total, and never a write by a request."""

import threading
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from django.db import DatabaseError, connection
from django.test import RequestFactory
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from genfeed.clients import auth, uses
from genfeed.clients.auth import RequireScope
from genfeed.clients.errors import ApiError
from genfeed.clients.keys import create_key, revoke_key
from genfeed.clients.models import ApiKey, Client
from genfeed.journal.audit import SYSTEM

pytestmark = pytest.mark.django_db


def use(text: str) -> None:
    """Asks for something with a key, as a request does, whether or not it is refused."""
    with suppress(ApiError):
        RequireScope("models:read")(RequestFactory().get("/", headers={"X-API-Key": text}))


@pytest.fixture
def made() -> tuple[ApiKey, str]:
    return create_key(Client.objects.create(name="Acme"), actor=SYSTEM)


def test_uses_are_counted_and_written_at_the_next_flush(made: tuple[ApiKey, str]) -> None:
    key, text = made
    before = timezone.now()
    for _ in range(3):
        use(text)

    key.refresh_from_db()
    assert (key.uses, key.last_used_at) == (0, None)
    uses.flush()
    key.refresh_from_db()
    assert key.uses == 3
    assert key.last_used_at is not None
    assert before <= key.last_used_at <= timezone.now()


def test_a_second_flush_counts_nothing_twice(made: tuple[ApiKey, str]) -> None:
    use(made[1])
    uses.flush()
    uses.flush()
    use(made[1])
    uses.flush()

    assert ApiKey.objects.get().uses == 2


def test_a_use_that_is_remembered_costs_no_query(
    made: tuple[ApiKey, str], django_assert_num_queries: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What its limit costs is counted elsewhere.
    monkeypatch.setattr(auth, "limit_request", lambda caller: None)
    use(made[1])

    with django_assert_num_queries(0):
        for _ in range(50):
            use(made[1])


def test_a_refused_key_is_not_marked_as_used(made: tuple[ApiKey, str]) -> None:
    key, text = made
    revoke_key(key, actor=SYSTEM)

    use(text)
    uses.flush()

    key.refresh_from_db()
    assert (key.uses, key.last_used_at) == (0, None)


def test_the_last_use_never_goes_back(made: tuple[ApiKey, str]) -> None:
    later = timezone.now() + timedelta(hours=1)
    ApiKey.objects.update(last_used_at=later, uses=7)

    use(made[1])
    uses.flush()

    assert ApiKey.objects.values_list("uses", "last_used_at").get() == (8, later)


def test_what_can_not_be_written_is_kept_for_the_next_time(
    made: tuple[ApiKey, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def locked(_counts: Any) -> None:
        use(made[1])  # one more while the database is asked
        raise DatabaseError("database is locked")

    use(made[1])
    with monkeypatch.context() as patch:
        patch.setattr(uses, "_write", locked)
        uses.flush()
    assert ApiKey.objects.get().uses == 0

    uses.flush()
    assert ApiKey.objects.get().uses == 2


def test_threads_lose_no_use(made: tuple[ApiKey, str]) -> None:
    def use() -> None:
        for _ in range(500):
            uses.count(made[0].pk)

    threads = [threading.Thread(target=use) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    uses.flush()

    assert ApiKey.objects.get().uses == 2000


def test_a_request_beyond_the_limit_is_no_use(made: tuple[ApiKey, str], settings: Any) -> None:
    settings.READS_PER_MINUTE = 2
    for _ in range(5):
        use(made[1])

    uses.flush()

    assert ApiKey.objects.get().uses == 2


def test_a_key_that_is_gone_stops_no_other(made: tuple[ApiKey, str]) -> None:
    uses.count(made[0].pk + 1)
    use(made[1])

    uses.flush()

    assert ApiKey.objects.get().uses == 1


def test_the_uses_of_many_keys_are_written_by_one_statement(made: tuple[ApiKey, str]) -> None:
    others = [create_key(made[0].client, actor=SYSTEM) for _ in range(4)]
    for _, text in [made, *others]:
        use(text)

    with CaptureQueriesContext(connection) as queries:
        uses.flush()

    assert len([query for query in queries if "UPDATE" in query["sql"]]) == 1
    assert set(ApiKey.objects.values_list("uses", flat=True)) == {1}
