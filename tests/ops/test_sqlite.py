"""Writers of SQLite that wait for each other."""

import sqlite3
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import OperationalError, connection, transaction

from genfeed.sqlite import base

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif("connection.vendor != 'sqlite'", reason="about SQLite"),
]


@pytest.fixture
def writing() -> Iterator[sqlite3.Connection]:
    """Another connection in the middle of its transaction."""
    with connection.cursor() as cursor:
        file = cursor.execute("PRAGMA database_list").fetchone()[2]
    other = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    yield other
    other.close()


def test_a_transaction_waits_for_another_to_end(writing: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[float] = []

    def sleep(seconds: float) -> None:
        looked.append(seconds)
        if len(looked) == 3:
            writing.execute("COMMIT")

    monkeypatch.setattr(base.time, "sleep", sleep)

    with transaction.atomic():
        pass

    assert looked == [0.001] * 3


def test_a_transaction_that_waits_for_too_long_says_so(
    writing: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(connection.settings_dict["OPTIONS"], "timeout", 0.01)

    with pytest.raises(OperationalError, match="locked"), transaction.atomic():
        pass


def test_a_single_statement_waits_as_well(writing: sqlite3.Connection) -> None:
    with connection.cursor() as cursor:
        timer = threading.Timer(0.1, lambda: writing.execute("COMMIT"))
        timer.start()
        written: Any = cursor.execute("DELETE FROM django_session WHERE session_key = 'none'")
        timer.join()

    assert written.rowcount == 0
