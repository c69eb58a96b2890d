"""Django's PostgreSQL backend for many machines: connections bring the server's time, and hold no locks while asleep.
And JSON comes back as it was written.

A process that is paused, or whose machine is cut off, in the middle of a transaction holds its locks: nobody else could
accept or dispatch jobs until it goes on. The server ends such a transaction; the process finds its connection closed.
"""

from __future__ import annotations

import json
import re
import select
from functools import lru_cache
from itertools import count
from typing import Any

from django.conf import settings
from django.db import OperationalError
from django.db.backends.postgresql import base
from django.db.utils import DatabaseErrorWrapper
from django.utils.functional import cached_property
from psycopg import RawCursor
from psycopg.errors import IdleInTransactionSessionTimeout
from psycopg.types.string import TextLoader

from genfeed import clock

clock.install()

_BEGIN = """
SELECT set_config('idle_in_transaction_session_timeout', %s, false),
    CAST(EXTRACT(EPOCH FROM clock_timestamp()) AS double precision)
"""


_LONG_NUMBER = re.compile(r"\d{19}")


class _Json(TextLoader):
    """JSON as text, its numbers as they were written: the server spells 1e25 with 26 digits, which a reader takes for
    an integer, and no writer writes as one."""

    def load(self, data: Any) -> Any:
        text = super().load(data)
        if not isinstance(text, str) or not _LONG_NUMBER.search(text):
            return text
        return json.dumps(json.loads(text, parse_int=_number))


def _number(digits: str) -> int | float:
    return int(digits) if len(digits) <= 20 and -(2**63) <= int(digits) < 2**64 else float(digits)


class _Errors(DatabaseErrorWrapper):
    """Django's, but a transaction that was ended in our sleep is what any lost connection is."""

    wrapper: Any

    def __exit__(self, kind: Any, error: Any, traceback: Any) -> None:
        if isinstance(error, IdleInTransactionSessionTimeout):
            self.wrapper.errors_occurred = True
            raise OperationalError(*error.args).with_traceback(traceback) from error
        super().__exit__(kind, error, traceback)


# A statement that came so often is kept by the server.
_KEPT_FROM = 5
# How long a connection that answered is taken to be there as long as nothing came by it.
_TRUSTED_SECONDS = 10.0


class _KeptCursor(base.ServerBindingCursor, RawCursor[Any]):
    """Reads each statement for its placeholders once: psycopg would read long ones again every time."""

    def execute(self, query: Any, params: Any = None, **options: Any) -> Any:
        return super().execute(_numbered(query), params, **options)

    def executemany(self, query: Any, params_seq: Any, **options: Any) -> None:
        """Sends a statement with many lists of values before it reads the first answer; `nextset` leads through all."""
        super().executemany(_numbered(query), params_seq, returning=True)


@lru_cache(1024)
def _numbered(statement: str) -> str:
    numbers = count(1)
    return re.sub("%[s%]", lambda found: f"${next(numbers)}" if found[0] == "%s" else "%", statement)


class DatabaseWrapper(base.DatabaseWrapper):
    """Named by settings as `genfeed.postgresql`."""

    _answered = 0.0

    def is_usable(self) -> bool:
        """Whether the connection is there still: Django asks before the first statement of each request.

        A server that ends says so, or closes: what has nothing to read needs no way there and back.
        """
        trusted = not self.errors_occurred and clock.elapsed() - self._answered < _TRUSTED_SECONDS
        if trusted and not self._has_come():
            return True
        usable = super().is_usable()
        if usable:
            self._answered = clock.elapsed()
        return usable

    def _has_come(self) -> bool:
        connection: Any = self.connection
        if connection is None or connection.closed:
            return True
        poll = select.poll()
        poll.register(connection.fileno(), select.POLLIN)
        return bool(poll.poll(0))

    def kept_cursor(self) -> Any:
        """A cursor whose statements are parsed and planned once a connection, for those that run all the time.

        It passes values beside the statement, which many statements of the ORM can't take.
        """
        if not settings.DATABASE_KEEPS_STATEMENTS:
            return self.cursor()
        # As Django does before each of its own.
        self.close_if_health_check_failed()
        self.ensure_connection()
        with self.wrap_database_errors:
            return self._prepare_cursor(_KeptCursor(self.connection))  # type: ignore[attr-defined]

    @cached_property
    def wrap_database_errors(self) -> _Errors:
        return _Errors(self)

    def init_connection_state(self) -> None:
        super().init_connection_state()
        connection: Any = self.connection
        connection.adapters.register_loader("jsonb", _Json)
        if settings.DATABASE_KEEPS_STATEMENTS:
            connection.prepare_threshold = _KEPT_FROM
        asked = self._answered = clock.elapsed()
        with connection.cursor() as cursor:
            cursor.execute(_BEGIN, [f"{settings.TRANSACTION_IDLE_SECONDS}s"])
            _, epoch = cursor.fetchone()
        clock.follow(epoch, asked=asked, answered=clock.elapsed())
