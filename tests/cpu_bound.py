"""A bound on the work that something may take, for what without a defence would work for hours."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

# Of this process's own, however loaded the machine is; what is bounded takes a hundredth of it.
PLENTY_SECONDS = 5.0


@contextmanager
def bounded_cpu(seconds: float = PLENTY_SECONDS) -> Iterator[None]:
    """Fails the test where the block takes more CPU than that. For the main thread."""

    def end(_number: int, _frame: FrameType | None) -> None:
        raise AssertionError(f"it has worked for {seconds:.0f} s, and does not end")

    before = signal.signal(signal.SIGVTALRM, end)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)
