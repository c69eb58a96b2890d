"""Machines that start at once bring the database up to date once, one after another."""

import os
import select
import signal
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

import pytest
from django.core.management import call_command
from django.db import OperationalError, connection, connections
from django.db.backends.base.base import BaseDatabaseWrapper

from genfeed.management.commands.migrate import Command
from genfeed.migrating import one_at_a_time, wait_for
from tests.running_app import manage

WAIT_SECONDS = 20


@pytest.fixture
def on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tests' own SQLite lies in memory, where nobody else can be."""
    if connection.vendor == "sqlite":
        monkeypatch.setitem(connection.settings_dict, "NAME", str(tmp_path / "db.sqlite3"))


class Other:
    """Another process: a thread with a connection of its own, which takes the lock and holds it until it is told."""

    def __init__(self) -> None:
        self.has_it, self.may_go, self.said = threading.Event(), threading.Event(), list[str]()
        self.thread = threading.Thread(target=self._work, daemon=True)

    def _work(self) -> None:
        own = connections.create_connection("default")
        own.settings_dict = connection.settings_dict
        try:
            with one_at_a_time(own, self.said.append):
                self.has_it.set()
                assert self.may_go.wait(WAIT_SECONDS)
        finally:
            own.close()

    def end(self) -> None:
        self.may_go.set()
        self.thread.join(WAIT_SECONDS)
        assert not self.thread.is_alive()


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("on_disk")
def test_the_second_waits_until_the_first_has_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("genfeed.migrating._EVERY_SECONDS", 0.01)
    other = Other()
    with one_at_a_time(connection, print):
        other.thread.start()
        assert not other.has_it.wait(0.3)
        assert other.said == ["Another process brings the database up to date; waiting for it."]

    assert other.has_it.wait(WAIT_SECONDS)
    other.end()


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("on_disk")
def test_the_lock_is_given_back_where_a_migration_fails() -> None:
    with pytest.raises(ZeroDivisionError), one_at_a_time(connection, print):
        raise ZeroDivisionError

    other = Other()
    other.thread.start()
    assert other.has_it.wait(WAIT_SECONDS)
    other.end()


def hold_until_killed(told: int) -> None:
    """In a child: takes the lock, says so, and works on."""
    own = connections.create_connection("default")
    own.settings_dict = connection.settings_dict
    with one_at_a_time(own, print):
        os.write(told, b"has it")
        time.sleep(WAIT_SECONDS)


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("on_disk")
def test_a_process_that_is_killed_while_it_migrates_holds_nobody_up() -> None:
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            hold_until_killed(write)
        finally:
            os._exit(0)
    try:
        assert select.select([read], [], [], WAIT_SECONDS)[0], "the child did not get the lock"
        said: list[str] = []
        killer = threading.Timer(0.2, os.kill, (child, signal.SIGKILL))
        killer.start()

        with one_at_a_time(connection, said.append):
            assert len(said) == 1
        killer.join(WAIT_SECONDS)
    finally:
        os.close(read)
        os.close(write)
        with suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
    assert os.WTERMSIG(status) == signal.SIGKILL


@pytest.mark.django_db(transaction=True)
def test_migrate_holds_it_and_whoever_only_looks_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    held: list[BaseDatabaseWrapper] = []

    class Lock:
        def __init__(self, connection: BaseDatabaseWrapper, _say: Any) -> None:
            held.append(connection)

        def __enter__(self) -> None: ...

        def __exit__(self, *_: object) -> None: ...

    monkeypatch.setattr("genfeed.management.commands.migrate.one_at_a_time", Lock)
    call_command("migrate", "--plan", verbosity=0)
    assert held == []

    call_command("migrate", verbosity=0)

    assert held == [connection]


def test_every_start_migrates_by_this_command() -> None:
    from django.core.management import get_commands

    # `manage.py up` and the unit of systemd call it by its name.
    assert get_commands()["migrate"] == "genfeed"
    assert "one does it while the others wait" in Command.help


def test_a_command_on_an_empty_database_says_what_to_do_first(tmp_path: Path) -> None:
    done = manage(tmp_path, "create_client", "Alpha")

    assert (done.returncode, done.stderr) == (
        1, "The database is empty or of an older version. Run `manage.py migrate` first, or `manage.py up`.\n",
    )  # fmt: skip


class Answers:
    """A connection whose server says one thing after the other, and then is there."""

    def __init__(self, *words: str) -> None:
        self.left = list(words)

    def ensure_connection(self) -> None:
        if self.left:
            raise OperationalError(self.left.pop(0))


AWAY = "connection failed: Connection refused\n\tIs the server running on that host?"


def test_a_server_that_is_not_there_yet_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("genfeed.migrating._EVERY_SECONDS", 0)
    server, said = Answers(AWAY, "FATAL:  the database system is starting up", AWAY), list[str]()

    wait_for(cast(Any, server), said.append, seconds=60)

    assert server.left == []
    assert len(said) == 1
    assert "Connection refused" in said[0]


@pytest.mark.parametrize(
    ("words", "seconds"),
    [
        ('FATAL:  password authentication failed for user "genfeed"', 60),
        ('FATAL:  database "genfeed" does not exist', 60),
        (AWAY, 0),
    ],
)
def test_what_no_waiting_mends_and_what_lasts_too_long_is_told(words: str, seconds: float) -> None:
    server = Answers(words, "never asked again")

    with pytest.raises(OperationalError, match=words.splitlines()[0]):
        wait_for(cast(Any, server), print, seconds=seconds)

    assert server.left == ["never asked again"]
