"""What somebody may have meant who mistyped an id: a courtesy, so that no more than some are looked for at a time.

One takes tens of milliseconds of a core with some thousand models, and a request may name hundreds that are none.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from difflib import get_close_matches
from threading import Lock

# In a process: so many at once, and then so many a second.
AT_ONCE = 20
PER_SECOND = 4.0
_LONGEST = 300

_lock = Lock()
# When all of them may be made at once again, by the monotonic clock.
_full_at = 0.0


def nearest_ids(wanted: str, known: Iterable[str]) -> list[str]:
    """Up to three known ids that look like the wanted one; none where too many were just looked for.

    Ids are in small letters, nearly all: what was written in others is looked for in small ones.
    """
    if not _is_allowed():
        return []
    small = {one.lower(): one for one in known}
    return [small[one] for one in get_close_matches(wanted[:_LONGEST].lower(), small, n=3, cutoff=0.6)]


def forget() -> None:
    """Forgets what was looked for, for tests."""
    global _full_at
    _full_at = 0.0


def _is_allowed() -> bool:
    global _full_at
    with _lock:
        now = time.monotonic()
        full_at = max(_full_at, now) + 1 / PER_SECOND
        if full_at - now > AT_ONCE / PER_SECOND:
            return False
        _full_at = full_at
        return True
