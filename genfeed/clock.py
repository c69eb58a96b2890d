"""One clock for all processes: `timezone.now()` tells the database's time, whatever the machine's own clock says.

Claims, leases, schedules, limits, signed links and signatures compare moments that different machines wrote or read.
A machine whose clock is ten minutes off would take up what others hold, run schedules early and refuse good webhooks.
So every connection to PostgreSQL brings the server's time along; between two of them time goes on by a clock that
nobody sets. SQLite has one machine, whose clock it is.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, tzinfo
from typing import Any

from django.db import DatabaseError, InterfaceError, connection
from django.utils import timezone

logger = logging.getLogger(__name__)

# A clock of this machine that is off by more is told in the log: its logs, and nothing else, have another time.
_TOLD_FROM_SECONDS = 5.0
# By how much two clocks may drift apart in a second.
_DRIFT = 0.0002

_lock = threading.Lock()
# What `elapsed` is short of the database's time, and by how much that may be wrong as it was measured; and when.
_ahead: float | None = None
_error = 0.0
_measured = 0.0


def elapsed() -> float:
    """Seconds that no one sets back or forth; those in which the machine sleeps count where the system tells them."""
    return time.clock_gettime(_STEADY) if _STEADY is not None else time.monotonic()


_STEADY: int | None = getattr(time, "CLOCK_BOOTTIME", None)


def now() -> datetime:
    """The database's time as far as this process was told; the machine's own before."""
    ahead = _ahead
    return datetime.now(UTC) if ahead is None else datetime.fromtimestamp(ahead + elapsed(), UTC)


def follow(epoch: float, *, asked: float, answered: float) -> None:
    """Notes that it was `epoch` (seconds) at the database at some moment between two of `elapsed`.

    A measure that took long says little: it is passed over while a better one is young enough, and agrees.
    """
    global _ahead, _error, _measured
    ahead, error = epoch - (asked + answered) / 2, (answered - asked) / 2
    with _lock:
        known = _error + _DRIFT * (answered - _measured)
        if _ahead is not None and error > known and abs(ahead - _ahead) <= error + known:
            return
        before = 0.0 if _ahead is None else _ahead + answered - time.time()
        _ahead, _error, _measured = ahead, error, answered
        off = ahead + answered - time.time()
    if abs(off - before) > _TOLD_FROM_SECONDS:
        logger.warning("this machine's clock is %.0f s off the database's, which is the one that counts", -off)


def ask() -> None:
    """Asks for the database's time, for a process that judges by it before it needs the database otherwise.

    A database that is away leaves the machine's own.
    """
    try:
        connection.ensure_connection()
    except (DatabaseError, InterfaceError):
        logger.warning("the database could not be asked for the time yet")
    finally:
        connection.close()


def told_by(moment: Callable[[], datetime]) -> type[datetime]:
    """A stand-in for `datetime` whose `now` asks `moment`; all else is as usual.

    For the module `django.utils.timezone`: model fields hold its `now` by reference, and django-q2 calls it too, so
    what that function asks is the one place where the time can come from elsewhere.
    """

    class Kind(type):
        def __instancecheck__(cls, instance: Any) -> bool:
            return isinstance(instance, datetime)

    class Told(datetime, metaclass=Kind):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Any:
            return moment().astimezone(tz)

    return Told


def install() -> None:
    """Has `timezone.now()` ask this clock, from now on in this process."""
    timezone.datetime = told_by(now)  # type: ignore[attr-defined]
