"""Signals that come at a bad moment: while a process is about to wait, or has just been forked."""

import os
import signal
import subprocess
import sys
import threading
from types import FrameType
from typing import Any

import pytest

from genfeed.flags import Flag
from tests.sandbox_server import ROOT

# What is registered before runs in the child first: the signal comes as early as one can.
FORKING = """
import os, signal
from genfeed.front import server

asked = []
signal.signal(signal.SIGTERM, lambda *_: asked.append("asked"))
os.register_at_fork(after_in_child=lambda: os.kill(os.getpid(), signal.SIGTERM))
server.stop_forks_as_any_process()
child = os.fork()
if child == 0:
    os._exit(7)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), end=" ")
os.kill(os.getpid(), signal.SIGTERM)
print(*asked)
"""


def test_a_worker_that_is_told_to_stop_as_soon_as_it_is_forked_ends() -> None:
    done = subprocess.run(
        [sys.executable, "-c", FORKING],
        cwd=ROOT,
        env=os.environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )

    # The worker ended by the signal; the process that forked it goes on hearing of its own.
    assert done.stdout.split() == [str(-signal.SIGTERM), "asked"]


def set_at(step: int, flag: Any) -> tuple[bool, int]:
    """Whether waiting for the flag ended, where a handler sets it before that step; and how many steps were seen."""
    seen = 0

    def trace(_frame: FrameType, event: str, _argument: Any) -> Any:
        nonlocal seen
        if event == "line":
            seen += 1
            if seen == step:
                flag.set()
        return trace

    def wait() -> None:
        sys.settrace(trace)
        try:
            flag.wait(0.3)
        finally:
            sys.settrace(None)

    waiting = threading.Thread(target=wait, daemon=True)
    waiting.start()
    waiting.join(20)
    return not waiting.is_alive(), seen


@pytest.mark.parametrize("step", range(1, 7))
def test_a_flag_is_set_by_a_handler_that_runs_at_any_step_of_who_waits_for_it(step: int) -> None:
    flag = Flag()

    ended, seen = set_at(step, flag)

    assert ended
    assert seen >= step
    assert flag.is_set()
    assert flag.wait()


def test_a_flag_that_nobody_sets_is_waited_for_as_long_as_was_asked() -> None:
    flag = Flag()

    assert not flag.wait(0.01)
    threading.Timer(0.01, flag.set).start()
    assert flag.wait(60)
    flag.clear()
    assert not flag.wait(0)
