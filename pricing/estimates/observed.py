"""How long a model's own jobs have taken: what their deadlines leave room for."""

from __future__ import annotations

import threading
import time
from decimal import Decimal

from pricing.models import UsageRecord

# Below these many successes the slowest of them says nothing about the next.
FEWEST = 20
_NEWEST = 200
CACHE_SECONDS = 60.0
_MOST_KEPT = 5000

_cache: dict[int, tuple[float, Decimal | None]] = {}
_lock = threading.Lock()


def observed_p99(model_id: int) -> Decimal | None:
    """Seconds from submission to result that 99 of 100 of the newest successes took at most; None for too few.

    At most a minute old: the deadline of a job is frozen with it, so processes need not agree.
    """
    now = time.monotonic()
    with _lock:
        cached = _cache.get(model_id)
    if cached and now - cached[0] < CACHE_SECONDS:
        return cached[1]
    found = _read(model_id)
    with _lock:
        if len(_cache) >= _MOST_KEPT:
            _cache.clear()
        _cache[model_id] = (now, found)
    return found


def forget() -> None:
    """Forgets what was remembered; for tests."""
    with _lock:
        _cache.clear()


def _read(model_id: int) -> Decimal | None:
    ended = UsageRecord.objects.filter(model_id=model_id, outcome=UsageRecord.Outcome.SUCCEEDED, is_cached=False)
    newest = ended.exclude(seconds=None).order_by("-created_at").values_list("seconds", flat=True)[:_NEWEST]
    seconds = sorted(second for second in newest if second is not None)
    if len(seconds) < FEWEST:
        return None
    # The nearest rank: the least value that 99 of 100 do not pass.
    return Decimal(str(round(seconds[-(-99 * len(seconds) // 100) - 1], 3)))
