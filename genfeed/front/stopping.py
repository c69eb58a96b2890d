"""Learning that this process is asked to stop, before the server waits for open answers, or that it soon will be."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable, Iterable
from types import FrameType
from typing import Any

# Sent to each worker some time before it is asked to stop (genfeed.front.server).
ABOUT_TO_STOP = signal.SIGUSR1
_is_about_to_stop = False


def is_about_to_stop() -> bool:
    """Whether this process serves on, but had better be sent nothing new."""
    return _is_about_to_stop


def listen() -> None:
    """Has `is_about_to_stop` be told; in the main thread, where signals arrive."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(ABOUT_TO_STOP, _on_about_to_stop)


def _on_about_to_stop(_number: int, _frame: FrameType | None) -> None:
    global _is_about_to_stop
    _is_about_to_stop = True


def closing(application: Callable[..., Iterable[bytes]]) -> Callable[..., Iterable[bytes]]:
    """The WSGI application, whose answers close their connections while this process is about to stop.

    Whoever keeps connections for its next requests could else send one in the moment in which the process, idle, closes
    it: that request is lost, and who sent it can't know whether it was heard.
    """

    def answer(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        if not _is_about_to_stop:
            return application(environ, start)

        def start_closing(status: str, headers: list[tuple[str, str]], *error: Any) -> Any:
            return start(status, [*headers, ("Connection", "close")], *error)

        return application(environ, start_closing)

    return answer


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
