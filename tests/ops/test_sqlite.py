"""Writers of SQLite that wait for each other."""

import sqlite3
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import OperationalError
from django.db.utils import ConnectionHandler

from genfeed.sqlite import base

pytestmark = pytest.mark.django_db


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "db.sqlite3"
    with sqlite3.connect(file) as made:
        made.execute("PRAGMA journal_mode=WAL")
        made.execute("CREATE TABLE t (n INTEGER)")
    return file


@pytest.fixture
def writing(file: Path) -> Iterator[sqlite3.Connection]:
    """Another connection in the middle of its transaction."""
    other = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    yield other
    other.close()


def ours(file: Path, timeout: float = 20) -> Any:
    options = {"transaction_mode": "IMMEDIATE", "timeout": timeout}
    return ConnectionHandler({"default": {"ENGINE": "genfeed.sqlite", "NAME": str(file), "OPTIONS": options}})[
        "default"
    ]


def begin(connection: Any) -> None:
    connection.ensure_connection()
    connection._start_transaction_under_autocommit()


def insert(connection: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO t VALUES (%s)", [1])


@pytest.mark.parametrize("write", [begin, insert])
def test_a_writer_looks_every_millisecond_whether_the_one_before_has_ended(
    write: Callable[[Any], None], file: Path, writing: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[float] = []

    def sleep(seconds: float) -> None:
        looked.append(seconds)
        if len(looked) == 3:
            writing.execute("COMMIT")

    monkeypatch.setattr(base.time, "sleep", sleep)

    write(ours(file))

    assert looked == [0.001] * 3


@pytest.mark.parametrize("write", [begin, insert])
def test_a_writer_that_has_waited_for_too_long_says_so(
    write: Callable[[Any], None], file: Path, writing: sqlite3.Connection
) -> None:
    with pytest.raises(OperationalError, match="locked"):
        write(ours(file, timeout=0.01))


def test_a_refused_statement_is_not_tried_again(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base.time, "sleep", lambda _seconds: pytest.fail("It waited in vain."))

    with ours(file).cursor() as cursor, pytest.raises(OperationalError, match="no such table"):
        cursor.execute("INSERT INTO nowhere VALUES (1)")


def test_what_does_not_come_by_our_cursor_waits_as_well_after_a_transaction(file: Path) -> None:
    connection = ours(file)
    begin(connection)
    connection.connection.execute("COMMIT")
    other = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    timer = threading.Timer(0.1, lambda: other.execute("COMMIT"))
    timer.start()

    connection.connection.execute("INSERT INTO t VALUES (1)")

    timer.join()
    assert other.execute("SELECT n FROM t").fetchall() == [(1,)]
