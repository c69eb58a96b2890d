"""How many heaps the threads of a process share."""

import ctypes
import os

# Of glibc's mallopt (malloc.h).
_M_ARENA_MAX = -8
_MOST = 2


def share() -> None:
    """Has all threads of this process allocate from two heaps, where glibc would give each thread one, up to 8 a core.

    Each keeps what it once needed: a page rendered or a catalog read, first in one thread and later in another, takes
    its memory again and again, and a process grows for hours until every thread has met its largest request. Threads
    of Python seldom allocate at the same time, so two are enough. Who has set MALLOC_ARENA_MAX has chosen already.
    """
    if "MALLOC_ARENA_MAX" in os.environ:
        return
    # None elsewhere (macOS, musl): their allocators have no such heaps.
    if mallopt := getattr(ctypes.CDLL(None), "mallopt", None):
        mallopt(_M_ARENA_MAX, _MOST)
