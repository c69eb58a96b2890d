"""Keeping a few child processes running on one machine, and stopping them together."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import FrameType

STOP_GRACE_SECONDS = 10.0
# A child that lived this long before it ended is restarted at once; one that keeps dying is given up.
_HEALTHY_AFTER_SECONDS = 30.0
_RESTARTS_IN_A_ROW = 5


class ChildFailedError(Exception):
    """A child keeps ending by itself; the message names it."""


@dataclass
class Child:
    """One supervised process; `command` is run again whenever it ends by itself.

    `sockets` are passed to it, each under the number that it has here; they stay open while it is started again.
    """

    name: str
    command: Sequence[str]
    environment: dict[str, str] = field(default_factory=dict)
    sockets: Sequence[socket.socket] = ()
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    restarts: int = 0

    def start(self) -> None:
        # A session of its own: Ctrl-C reaches the supervisor alone, which then stops the children in order.
        self.process = subprocess.Popen(
            self.command,
            env={**os.environ, **self.environment},
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            pass_fds=[one.fileno() for one in self.sockets],
        )
        self.started_at = time.monotonic()

    @property
    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def ask_to_stop(self) -> None:
        """SIGTERM to the process itself: it stops its own children in its own order."""
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()

    def kill(self) -> None:
        """SIGKILL to the whole group, so that no child of a child is left behind."""
        if self.process is None:
            return
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            return


class Supervisor:
    """Starts children, restarts what dies, and stops all of them in reverse order on SIGINT or SIGTERM."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self.children: list[Child] = []
        self.stopping = False
        self._say = say
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._on_signal)

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self.stopping = True

    def start(self, child: Child) -> None:
        child.start()
        self.children.append(child)

    def wait_until(self, ready: Callable[[], bool], child: Child, *, seconds: float) -> None:
        """Waits for `child` to become ready; raises ChildFailedError where it ends or takes longer."""
        deadline = time.monotonic() + seconds
        while not self.stopping and not ready():
            if not child.is_running:
                raise ChildFailedError(f"{child.name} ended while it was starting; its messages stand above.")
            if time.monotonic() > deadline:
                raise ChildFailedError(f"{child.name} was not ready after {seconds:.0f} s.")
            time.sleep(0.05)

    def watch(self) -> None:
        """Returns when asked to stop; raises ChildFailedError when a child can't be kept alive."""
        while not self.stopping:
            for child in self.children:
                if not child.is_running:
                    self._restart(child)
            time.sleep(0.5)

    def _restart(self, child: Child) -> None:
        code = child.process.returncode if child.process else None
        lived = time.monotonic() - child.started_at
        child.restarts = 1 if lived > _HEALTHY_AFTER_SECONDS else child.restarts + 1
        if child.restarts > _RESTARTS_IN_A_ROW:
            raise ChildFailedError(f"{child.name} ended {child.restarts} times in a row (exit code {code}).")
        wait = min(8.0, 0.5 * 2**child.restarts)
        self._say(f"{child.name} ended (exit code {code}); starting it again in {wait:.0f} s.")
        # What it had started may live on, and would hold its port or take its work.
        child.kill()
        until = time.monotonic() + wait
        while not self.stopping and time.monotonic() < until:
            time.sleep(0.1)
        if not self.stopping:
            child.start()

    def stop(self) -> None:
        """SIGTERM to all, then SIGKILL to what is still there after the grace."""
        for child in reversed(self.children):
            child.ask_to_stop()
        deadline = time.monotonic() + STOP_GRACE_SECONDS
        for child in reversed(self.children):
            if child.process is None:
                continue
            try:
                child.process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                self._say(f"{child.name} did not stop in time; it is killed.")
            # Also where the leader has ended: its own children may not have.
            child.kill()
