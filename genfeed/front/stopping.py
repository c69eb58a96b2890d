"""Learning that this process is asked to stop, before the server waits for its open answers."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable
from types import FrameType


def call_at_stop(call: Callable[[], None]) -> None:
    """Calls back in the running event loop at SIGTERM and SIGINT, beside whatever the server does then.

    The server tells applications of its end only once all their answers are done: streams would keep it until it is
    killed.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    loop = asyncio.get_running_loop()

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(call)

    # asyncio takes its own signals from the wake-up descriptor, which is written to whatever handler Python has: the
    # server's stays.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, on_signal)
