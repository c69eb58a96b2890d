"""Statements that are written out: many at once say of each what it did, and none is left half done."""

import re
from itertools import groupby
from typing import Any

import pytest
from django.db import DatabaseError, IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext

from genfeed.clients.models import Client
from genfeed.journal.models import Alert, OutboxEvent
from pricing import sql

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(params=[True, False], ids=["kept", "not kept"], autouse=True)
def keeps_statements(request: pytest.FixtureRequest, settings: Any) -> None:
    settings.DATABASE_KEEPS_STATEMENTS = request.param


def clients(count: int) -> list[Client]:
    return [Client.objects.create(name=f"client {number}") for number in range(count)]


def news(*subjects: str) -> list[OutboxEvent]:
    return [OutboxEvent(kind="job.queued", subject=subject, payload={"of": subject}) for subject in subjects]


def test_each_of_many_updates_tells_whether_it_found_its_row() -> None:
    rows = clients(4)
    many = [
        ({"name": "first"}, {"id": rows[0].pk, "name": "client 0"}),
        ({"name": "second"}, {"id": rows[1].pk, "name": "another"}),
        ({"max_in_flight": 7}, {"id": rows[2].pk}),
        ({"name": "fourth"}, {"id": rows[3].pk, "name": "client 3"}),
        ({"max_in_flight": None}, {"id": -1}),
    ]

    assert sql.update_each(Client, many) == [1, 0, 1, 1, 0]

    names = list(Client.objects.filter(pk__in=[row.pk for row in rows]).order_by("pk").values_list("name", flat=True))
    assert names == ["first", "client 1", "client 2", "fourth"]
    assert Client.objects.get(pk=rows[2].pk).max_in_flight == 7


def test_rows_are_locked_in_the_order_in_which_they_are_named() -> None:
    rows = clients(4)
    columns: list[dict[str, Any]] = [{"name": "a"}, {"name": "b"}, {"max_in_flight": 1}, {"name": "c"}]

    with CaptureQueriesContext(connection) as seen:
        sql.update_each(Client, [(one, {"id": row.pk}) for one, row in zip(columns, rows, strict=True)])

    names = [re.findall('SET "([a-z_]+)"', query["sql"])[0] for query in seen.captured_queries]
    assert [name for name, _ in groupby(names)] == ["name", "max_in_flight", "name"]


def test_values_of_other_kinds_may_follow_each_other() -> None:
    rows = clients(3)

    assert sql.update_each(
        Client, [({"max_in_flight": value}, {"id": row.pk}) for row, value in zip(rows, (5, None, 6), strict=True)]
    ) == [1, 1, 1]

    assert [Client.objects.get(pk=row.pk).max_in_flight for row in rows] == [5, None, 6]


def test_none_is_asked_where_there_is_nothing() -> None:
    assert sql.update_each(Client, []) == []
    assert sql.rows_each("SELECT %s", []) == []
    sql.insert_each([[], []])


def test_lists_of_rows_are_written_and_each_row_knows_its_own_key() -> None:
    many = [news("a", "b"), [], [*news("c"), Alert(code="x", subject="s", title="t")], news("d", "e")]

    sql.insert_each(many)

    told = [row for rows in many for row in rows if isinstance(row, OutboxEvent)]
    assert [OutboxEvent.objects.get(pk=row.pk).subject for row in told] == ["a", "b", "c", "d", "e"]
    assert [OutboxEvent.objects.get(pk=row.pk).payload for row in told][4] == {"of": "e"}
    assert Alert.objects.get(pk=many[2][1].pk).title == "t"


def test_answers_come_in_the_order_of_what_was_asked() -> None:
    rows = clients(3)

    found = sql.rows_each("SELECT name FROM clients_client WHERE id = %s", [(rows[2].pk,), (-1,), (rows[0].pk,)])

    assert found == [[("client 2",)], [], [("client 0",)]]


def test_what_breaks_in_between_leaves_nothing_and_the_connection_goes_on() -> None:
    first, second, third = clients(3)
    taken = [({"id": first.pk}, {"id": one.pk}) for one in (first, second, third)]

    with pytest.raises(IntegrityError), transaction.atomic():
        sql.update_each(Client, [({"name": "changed"}, {"id": third.pk}), *taken])

    assert Client.objects.get(pk=third.pk).name == "client 2"
    assert sql.rows("SELECT 1") == [(1,)]


def test_a_value_that_the_database_does_not_take_says_so() -> None:
    rows = clients(2)
    with pytest.raises((DatabaseError, OverflowError)):
        sql.update_each(Client, [({"max_in_flight": 2**80}, {"id": row.pk}) for row in rows])

    assert sql.rows("SELECT 1") == [(1,)]
