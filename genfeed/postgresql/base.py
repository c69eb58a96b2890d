"""Django's PostgreSQL backend for many machines: connections bring the server's time, and hold no locks while asleep.

A process that is paused, or whose machine is cut off, in the middle of a transaction holds its locks: nobody else could
accept or dispatch jobs until it goes on. The server ends such a transaction; the process finds its connection closed.
"""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db import OperationalError
from django.db.backends.postgresql import base
from django.db.utils import DatabaseErrorWrapper
from django.utils.functional import cached_property
from psycopg.errors import IdleInTransactionSessionTimeout

from genfeed import clock

clock.install()

_BEGIN = """
SELECT set_config('idle_in_transaction_session_timeout', %s, false),
    CAST(EXTRACT(EPOCH FROM clock_timestamp()) AS double precision)
"""


class _Errors(DatabaseErrorWrapper):
    """Django's, but a transaction that was ended in our sleep is what any lost connection is."""

    wrapper: Any

    def __exit__(self, kind: Any, error: Any, traceback: Any) -> None:
        if isinstance(error, IdleInTransactionSessionTimeout):
            self.wrapper.errors_occurred = True
            raise OperationalError(*error.args).with_traceback(traceback) from error
        super().__exit__(kind, error, traceback)


class DatabaseWrapper(base.DatabaseWrapper):
    """Named by settings as `genfeed.postgresql`."""

    @cached_property
    def wrap_database_errors(self) -> _Errors:
        return _Errors(self)

    def init_connection_state(self) -> None:
        super().init_connection_state()
        connection: Any = self.connection
        asked = clock.elapsed()
        with connection.cursor() as cursor:
            cursor.execute(_BEGIN, [f"{settings.TRANSACTION_IDLE_SECONDS}s"])
            _, epoch = cursor.fetchone()
        clock.follow(epoch, asked=asked, answered=clock.elapsed())
