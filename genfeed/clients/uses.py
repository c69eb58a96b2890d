"""How often keys are used, and when last: counted in the process, written every few seconds, never by a request.

Counts are exact in total as long as processes end by themselves or are asked to; one that is killed outright loses
the uses of its last seconds.
"""

import atexit
import logging
import os
import threading
from datetime import datetime

from django.db import Error, connection, connections, transaction
from django.utils import timezone

FLUSH_SECONDS = 3.0
_KEYS_A_TRANSACTION = 200
_USED = (
    "UPDATE clients_apikey SET uses = uses + %s, "
    "last_used_at = CASE WHEN last_used_at > %s THEN last_used_at ELSE %s END WHERE id = %s"
)

logger = logging.getLogger(__name__)

# key id -> (uses that are not written yet, the last of them)
_counts: dict[int, tuple[int, datetime]] = {}
_timer: threading.Timer | None = None
_lock = threading.Lock()
# Held while counts are on their way to the database: the end of the process waits for them.
_writing = threading.Lock()


def count(key_id: int) -> None:
    """One more use of a key, now."""
    now = timezone.now()
    with _lock:
        _counts[key_id] = (_counts.get(key_id, (0, now))[0] + 1, now)
        if _timer is None:
            _start_timer()


def flush() -> None:
    """Writes what was counted. What can't be written now is kept for the next time."""
    with _writing:
        taken = _take()
        # In one order for all processes, or two could wait for each other.
        keys = sorted(taken)
        for start in range(0, len(keys), _KEYS_A_TRANSACTION):
            some = {key: taken[key] for key in keys[start : start + _KEYS_A_TRANSACTION]}
            try:
                _write(some)
            except Error as error:
                logger.warning("uses of %d keys could not be counted yet: %s", len(some), error)
                _put_back(some)


def forget() -> None:
    """Drops what is not written; for a forked process, whose parent writes it, and for tests."""
    global _timer, _lock, _writing
    _lock, _writing, _timer = threading.Lock(), threading.Lock(), None
    _counts.clear()


def _write(counts: dict[int, tuple[int, datetime]]) -> None:
    adapt = connection.ops.adapt_datetimefield_value
    rows = [(uses, adapt(last), adapt(last), key) for key, (uses, last) in counts.items()]
    # One statement for all of them: written anew for each, it would keep SQLite's other writers waiting.
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.executemany(_USED, rows)


def _take() -> dict[int, tuple[int, datetime]]:
    with _lock:
        taken = dict(_counts)
        _counts.clear()
        return taken


def _put_back(counts: dict[int, tuple[int, datetime]]) -> None:
    with _lock:
        for key, (uses, last) in counts.items():
            newer, newest = _counts.get(key, (0, last))
            _counts[key] = (newer + uses, max(newest, last))
        if _timer is None:
            _start_timer()


def _start_timer() -> None:
    """A thread only while there is something to write: a process that nobody asks stays asleep."""
    global _timer
    _timer = threading.Timer(FLUSH_SECONDS, _run)
    _timer.daemon = True
    _timer.start()


def _run() -> None:
    global _timer
    with _lock:
        _timer = None
    try:
        flush()
    finally:
        connections.close_all()


atexit.register(flush)
os.register_at_fork(after_in_child=forget)
