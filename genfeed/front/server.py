"""`python -m genfeed.front.server`: granian with what a restart without a failed request needs beyond it.

It takes over a listening socket that systemd holds (LISTEN_FDS), so that connections wait for the next process instead
of being refused; and where it is asked to stop, it lets /readyz say so for a while before it stops answering.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import socket
import sys
from typing import Any

from granian import cli
from granian._granian import SocketHolder
from granian.log import logger
from granian.server import MPServer

from genfeed.flags import Flag
from genfeed.front.stopping import ABOUT_TO_STOP

# systemd passes sockets from this descriptor on.
_FIRST_PASSED = 3
_DRAIN = "--drain-seconds"


class Server(MPServer):
    """granian's own server of several processes; `drain_seconds`: how long /readyz says that it will stop."""

    drain_seconds = 0.0

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Set by handlers of signals.
        self.main_loop_interrupt = Flag()

    def _init_shared_socket(self) -> None:
        if not is_passed(os.environ, os.getpid()):
            super()._init_shared_socket()
            return
        self._ssp, self._sfd = None, _FIRST_PASSED  # type: ignore[assignment]
        self._sso = socket.socket(fileno=_FIRST_PASSED)
        self._sso.set_inheritable(True)
        is_unix = self._sso.family == socket.AF_UNIX
        self._shd = SocketHolder(_FIRST_PASSED, is_unix, self.backlog)  # type: ignore[call-arg,assignment]
        # Workers have the descriptor by being forked, whatever Python starts processes by.
        multiprocessing.set_start_method("fork", force=True)

    def signal_handler_interrupt(self, *args: Any, **kwargs: Any) -> None:
        """Stops at the second signal at once."""
        if self.interrupt_signal or not self.drain_seconds:
            super().signal_handler_interrupt(*args, **kwargs)
            return
        self.interrupt_signal = True
        logger.info("Asked to stop: /readyz says so for %s s", self.drain_seconds)
        for worker in self.wrks:
            if worker.is_alive():
                os.kill(worker._id(), ABOUT_TO_STOP)
        # An alarm rather than a sleep: a handler must not keep the next signal from being heard.
        signal.signal(signal.SIGALRM, lambda *_: self.main_loop_interrupt.set())
        signal.setitimer(signal.ITIMER_REAL, self.drain_seconds)


def is_passed(environ: Any, pid: int) -> bool:
    """Whether a listening socket was passed to this very process: the variables are inherited by others too."""
    return bool(environ.get("LISTEN_PID") == str(pid) and int(environ.get("LISTEN_FDS") or 0) >= 1)


def stop_forks_as_any_process() -> None:
    """Has a worker end at once when it is told to, until it serves and has anything to end.

    This process's handlers, which it is forked with, would only keep it from stopping. Signals are held back until
    these are gone: Python forgets, in a process that it has forked, what no handler has been called for yet.
    """
    numbers = (signal.SIGINT, signal.SIGTERM)
    before: list[set[int]] = []

    def hold_back() -> None:
        before.append(set(signal.pthread_sigmask(signal.SIG_BLOCK, numbers)))

    def let_through() -> None:
        signal.pthread_sigmask(signal.SIG_SETMASK, before.pop())

    def stop_as_any_process() -> None:
        for number in numbers:
            signal.signal(number, signal.SIG_DFL)
        let_through()

    os.register_at_fork(before=hold_back, after_in_parent=let_through, after_in_child=stop_as_any_process)


def main(arguments: list[str]) -> None:
    """Takes granian's own arguments, after --drain-seconds and its value where they are wanted."""
    if arguments[:1] == [_DRAIN]:
        Server.drain_seconds = float(arguments[1])
        arguments = arguments[2:]
    # A worker that still loads what it serves has nobody yet whom it could tell.
    signal.signal(ABOUT_TO_STOP, signal.SIG_IGN)
    stop_forks_as_any_process()
    cli.Server = Server
    cli.cli(arguments, auto_envvar_prefix="GRANIAN")


if __name__ == "__main__":
    main(sys.argv[1:])
