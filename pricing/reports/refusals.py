"""Counting what clients were refused: in the process, written every few seconds, never by a request.

A storm of refused requests costs a dictionary entry, and one statement a few seconds. A process that is killed outright
loses its last seconds.
"""

from __future__ import annotations

import atexit
import logging
import os
import threading
from datetime import UTC, date, timedelta

from django.db import Error, connections, transaction
from django.db.models import F, Sum
from django.utils import timezone

from pricing.models import Refusal

FLUSH_SECONDS = 5.0
# Models and clients are rows that exist; there are never more of them than fit.
_MOST = 20_000
Key = tuple[date, str, int, str]

logger = logging.getLogger(__name__)
_counts: dict[Key, int] = {}
_timer: threading.Timer | None = None
_lock = threading.Lock()
_writing = threading.Lock()


def count_refused_model(model_id: int, code: str) -> None:
    """A client asked for a model that is not offered."""
    _count(Refusal.Kind.MODEL, model_id, code)


def count_throttled_client(client_id: int, code: str) -> None:
    """A client asked for more than its limits allow."""
    _count(Refusal.Kind.CLIENT, client_id, code)


def refused_since(kind: str, first: date) -> dict[int, dict[str, int]]:
    """How often each model or client was refused since a day, by code."""
    found: dict[int, dict[str, int]] = {}
    rows = Refusal.objects.filter(kind=kind, day__gte=first).values_list("key", "code").annotate(n=Sum("times"))
    for key, code, times in rows:
        found.setdefault(key, {})[code] = times
    return found


def flush() -> None:
    """Writes what was counted. What can't be written now is kept for the next time."""
    with _writing:
        with _lock:
            taken = dict(_counts)
            _counts.clear()
        try:
            # In one order for all processes, or two could wait for each other.
            _write({key: taken[key] for key in sorted(taken)})
        except Error as error:
            logger.warning("%d counts of refusals could not be written yet: %s", len(taken), error)
            for key, times in taken.items():
                _add(key, times)


def forget() -> None:
    """Drops what is not written; for a forked process, whose parent writes it, and for tests."""
    global _timer, _lock, _writing
    _lock, _writing, _timer = threading.Lock(), threading.Lock(), None
    _counts.clear()


def forget_old(days: int = 400) -> int:
    """Deletes counts that no rule looks at any more."""
    return Refusal.objects.filter(day__lt=timezone.now().date() - timedelta(days=days)).delete()[0]


def _count(kind: str, key: int, code: str) -> None:
    _add((timezone.now().astimezone(UTC).date(), str(kind), key, code[:40]), 1)


def _add(key: Key, times: int) -> None:
    with _lock:
        if key in _counts or len(_counts) < _MOST:
            _counts[key] = _counts.get(key, 0) + times
        if _timer is None:
            _start_timer()


def _write(counts: dict[Key, int]) -> None:
    if not counts:
        return
    with transaction.atomic():
        for (day, kind, key, code), times in counts.items():
            row, _ = Refusal.objects.get_or_create(day=day, kind=kind, key=key, code=code)
            Refusal.objects.filter(pk=row.pk).update(times=F("times") + times)


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
