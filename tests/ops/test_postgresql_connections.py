"""Connections to PostgreSQL: statements that they keep, and how one that was lost is noticed."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection

from pricing import sql

pytestmark = pytest.mark.django_db(transaction=True)
_ECHO = "SELECT %s + 1"


@pytest.fixture(autouse=True)
def of_postgresql() -> Iterator[None]:
    if connection.vendor != "postgresql":
        pytest.skip("SQLite has no server")
    connection.close()
    yield
    connection.close()


def kept() -> list[str]:
    """What this connection keeps, as the server tells."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT statement FROM pg_prepared_statements")
        return [text for (text,) in cursor.fetchall()]


def test_a_statement_that_runs_all_the_time_is_kept_by_its_connection() -> None:
    answers = [sql.rows(_ECHO, number) for number in range(8)]

    assert answers == [[(number + 1,)] for number in range(8)]
    assert kept() == ["SELECT $1 + 1"]


def test_a_percent_sign_in_a_kept_statement_is_written_as_in_any_other() -> None:
    assert sql.rows("SELECT %s::int %% 5, 'a%%', %s::int", 7, 9) == [(2, "a%", 9)]


def test_none_is_kept_where_a_pooler_would_lose_it(settings: Any) -> None:
    settings.DATABASE_KEEPS_STATEMENTS = False

    answers = [sql.rows(_ECHO, number) for number in range(8)]

    assert answers == [[(number + 1,)] for number in range(8)]
    assert kept() == []


def test_a_connection_that_the_server_ended_is_made_anew_by_the_next_request() -> None:
    other = connection.copy()
    try:
        ((own,),) = sql.rows("SELECT pg_backend_pid()")
        with other.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(%s, 5000)", [own])
            assert cursor.fetchone() == (True,)
    finally:
        other.close()

    # As at the begin of each request.
    connection.close_if_unusable_or_obsolete()

    ((new,),) = sql.rows("SELECT pg_backend_pid()")
    assert new != own


def test_a_connection_that_was_just_used_is_not_asked_whether_it_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    sql.rows("SELECT 1")
    asked: list[str] = []
    cursor = type(connection.connection).cursor
    monkeypatch.setattr(type(connection.connection), "cursor", lambda *given: asked.append("") or cursor(*given))

    assert connection.is_usable()

    assert asked == []


def test_one_that_was_not_used_for_long_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    sql.rows("SELECT 1")
    connection._answered -= 3_600  # type: ignore[attr-defined]
    connection.connection.close()

    assert not connection.is_usable()
