"""Commands of a bench installation, in processes of their own."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.running_app import environment
from tests.sandbox_server import ROOT, RunningSandbox


@dataclass(frozen=True)
class Done:
    """A finished command: what it printed, and the most memory that it held, in MB."""

    output: str
    peak_mb: float


def settings_for(var: Path, sandbox: RunningSandbox | None = None) -> dict[str, str]:
    """The environment of the bench installation: production settings, logs at their defaults."""
    # The limits count, but do not bind: one key asks for more in a second than a client may in a minute.
    found = environment(var) | {"DJANGO_SETTINGS_MODULE": "genfeed.settings", "READS_PER_MINUTE": "10000000"}
    if sandbox:
        found |= sandbox.settings()
    return found


def manage(settings: dict[str, str], *arguments: str) -> Done:
    """Runs `manage.py`; raises CalledProcessError where it fails."""
    process = subprocess.Popen(
        [sys.executable, "manage.py", *arguments], cwd=ROOT, env=settings, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    output = process.stdout.read()
    # wait4 instead of wait: it tells what this very child used.
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, arguments, output)
    return Done(output, usage.ru_maxrss / 1024)
