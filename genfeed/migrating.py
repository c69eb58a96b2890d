"""One migration of a database at a time, however many machines start at once."""

from __future__ import annotations

import fcntl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from django.conf import settings
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.utils import DatabaseError, InterfaceError, OperationalError

# Any number that nobody else locks: "genfeed" as bytes.
_LOCK = int.from_bytes(b"genfeed")
_EVERY_SECONDS = 0.5
# What a server says of itself that will be over; whatever else it refuses us for, no waiting mends.
_SOON = ("starting up", "shutting down", "in recovery", "not yet accepting", "too many clients", "connection slots")
_LET_SLEEP = "SELECT set_config('idle_in_transaction_session_timeout', %s, false)"


@contextmanager
def one_at_a_time(connection: BaseDatabaseWrapper, say: Callable[[str], None]) -> Iterator[None]:
    """Holds the lock while the block runs; waits for whoever has it, and says so once.

    PostgreSQL gives it back with the connection, the system with SQLite's file: a process that dies holds none.
    """
    if connection.vendor == "postgresql":
        with _advisory_lock(connection, say):
            yield
    elif connection.vendor == "sqlite" and not connection.is_in_memory_db():  # type: ignore[attr-defined]
        with _file_lock(Path(f"{connection.settings_dict['NAME']}.migrating"), say):
            yield
    else:
        yield


def wait_for(connection: BaseDatabaseWrapper, say: Callable[[str], None], *, seconds: float) -> None:
    """Waits for a server that does not answer yet, as after a boot of all machines at once, and says so once.

    Raises OperationalError for what no waiting mends, such as a wrong password, and after `seconds`.
    """
    deadline = time.monotonic() + seconds
    has_said = False
    while True:
        try:
            connection.ensure_connection()
        except OperationalError as error:
            if not _is_away(str(error)) or time.monotonic() >= deadline:
                raise
            if not has_said:
                say(f"The database does not answer yet; waiting for it. {str(error).strip()}")
                has_said = True
            time.sleep(_EVERY_SECONDS)
        else:
            return


def _is_away(words: str) -> bool:
    return "FATAL" not in words or any(one in words for one in _SOON)


@contextmanager
def _advisory_lock(connection: BaseDatabaseWrapper, say: Callable[[str], None]) -> Iterator[None]:
    def is_taken() -> bool:
        # Asked again and again rather than waited for: an index that is built concurrently waits for every statement
        # that was there before it, and one that waits for this lock would wait for the index.
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_try_advisory_lock(%s)", [_LOCK])
            return not cursor.fetchone()[0]

    _wait_while(is_taken, say)
    try:
        with connection.cursor() as cursor:
            # A migration may compute for long between two statements.
            cursor.execute(_LET_SLEEP, ["0"])
        yield
    finally:
        try:
            with connection.cursor() as cursor:
                cursor.execute(_LET_SLEEP, [f"{settings.TRANSACTION_IDLE_SECONDS}s"])
                cursor.execute("SELECT pg_advisory_unlock(%s)", [_LOCK])
        except (DatabaseError, InterfaceError):
            # After a failure in a transaction, or without a connection: the lock ends with that.
            connection.close()


@contextmanager
def _file_lock(path: Path, say: Callable[[str], None]) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:

        def is_taken() -> bool:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
            return False

        _wait_while(is_taken, say)
        yield


def _wait_while(is_taken: Callable[[], bool], say: Callable[[str], None]) -> None:
    has_said = False
    while is_taken():
        if not has_said:
            say("Another process brings the database up to date; waiting for it.")
            has_said = True
        time.sleep(_EVERY_SECONDS)
