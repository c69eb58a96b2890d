"""What a process keeps of memory that it no longer needs: little, however long it runs and however many threads it has.

Both are calls of glibc's (mallopt and malloc_trim, malloc.h); other allocators (macOS, musl) have no such heaps.
"""

import ctypes
import os
from collections.abc import Callable
from functools import cache

_M_ARENA_MAX = -8
_MOST = 2


def share() -> None:
    """Has all threads of this process allocate from two heaps, where glibc would give each thread one, up to 8 a core.

    Each keeps what it once needed: a page rendered or a catalog read, first in one thread and later in another, takes
    its memory again and again, and a process grows for hours until every thread has met its largest request. Threads
    of Python seldom allocate at the same time, so two are enough. Who has set MALLOC_ARENA_MAX has chosen already.
    """
    if "MALLOC_ARENA_MAX" not in os.environ and (mallopt := _call("mallopt")):
        mallopt(_M_ARENA_MAX, _MOST)


def give_back() -> None:
    """Gives pages that nothing lies in to the system, after work that took much memory; 0.3 to 3 ms of CPU."""
    if trim := _call("malloc_trim"):
        trim(0)


@cache
def _call(name: str) -> Callable[..., int] | None:
    found: Callable[..., int] | None = getattr(ctypes.CDLL(None), name, None)
    return found
