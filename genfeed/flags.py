"""A flag that a handler of signals may set."""

import time
from threading import Event

_LOOK_SECONDS = 0.1


class Flag(Event):
    """An event without a lock, that is waited for by looking at it again and again.

    A handler of signals runs between any two steps of the main thread. Where that is about to wait for an `Event`, it
    holds the lock that `Event.set` waits for: both for ever. And where a signal comes after the last of those steps,
    just before the thread waits, its handler is called only once the wait is over: a wait must never be without an end.
    """

    def __init__(self) -> None:
        super().__init__()
        self._is_set = False

    def is_set(self) -> bool:
        return self._is_set

    def set(self) -> None:
        self._is_set = True

    def clear(self) -> None:
        self._is_set = False

    def wait(self, timeout: float | None = None) -> bool:
        """Whether it is set; waits for that for `timeout` seconds, or for as long as it takes."""
        end = None if timeout is None else time.monotonic() + timeout
        while not self._is_set:
            left = _LOOK_SECONDS if end is None else min(_LOOK_SECONDS, end - time.monotonic())
            if left <= 0:
                break
            time.sleep(left)
        return self._is_set
