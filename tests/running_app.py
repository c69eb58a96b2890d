"""The whole application as its user starts it: `manage.py up` in processes of its own, with a folder of its own."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.sandbox_server import ROOT, free_port

START_SECONDS = 120
# Where a copied installation keeps what its first start printed.
FIRST_START = "first_start.log"
_SETTINGS = (
    "FAL_", "SANDBOX_", "GENFEED_", "CATALOG_", "DJANGO_", "PROMETHEUS_", "SECRET_KEY", "DATABASE_URL", "LOG_",
    "PUBLIC_URL", "METRICS_", "WEB_", "DEBUG", "CLOUD_", "REPLICATE_",
)  # fmt: skip


@dataclass(frozen=True)
class Stopped:
    """An end: the words that started all its processes, its exit code, and how many of them were left afterwards."""

    words: list[str]
    code: int
    left: int


@dataclass
class RunningApp:
    """A running GenFeed; `output` is what it printed so far."""

    base_url: str
    var: Path
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def output(self) -> str:
        return self.log.read_text()

    @property
    def password(self) -> str:
        """The first administrator's, as it was printed: now, or by the first start of what this is a copy of."""
        first = self.var / FIRST_START
        found = re.search(r"password (\S+)", first.read_text() if first.exists() else self.output)
        assert found, self.output
        return found.group(1)

    def environment(self) -> dict[str, str]:
        """For commands that work on the same installation."""
        return environment(self.var)

    def manage(self, *arguments: str) -> str:
        """The output of a management command of this installation; fails with what it printed."""
        done = manage(self.var, *arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def stop(self, number: int = signal.SIGINT) -> int:
        """Stops it as Ctrl-C does; the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(30)

    def stop_all(self, number: int) -> Stopped:
        """Stops it, and looks after its processes."""
        running = psutil.Process(self.process.pid).children(recursive=True)
        words = [word for process in running for word in process.cmdline()]
        code = self.stop(number)
        _, alive = psutil.wait_procs(running, timeout=5)
        return Stopped(words, code, len(alive))


def environment(var: Path) -> dict[str, str]:
    """The process environment without any of GenFeed's settings but the folder."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_SETTINGS)}
    return kept | {"GENFEED_VAR_DIR": str(var)}


def manage(var: Path, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """A management command of the installation in this folder, run to its end, with some settings of its own."""
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        env=environment(var) | settings,
        capture_output=True,
        text=True,
        check=False,
    )


@contextmanager
def running_app(
    var: Path, *, catalog: Path | None = None, wait: bool = True, sandbox_port: int | None = None
) -> Iterator[RunningApp]:
    """Runs `manage.py up` with the sandbox while the block runs, ready to be used (`wait`)."""
    port, sandbox_port = free_port(), sandbox_port or free_port()
    var.mkdir(parents=True, exist_ok=True)
    log = var.parent / f"{var.name}-{port}.log"
    settings = environment(var) | ({"SANDBOX_CATALOG": str(catalog)} if catalog else {})
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "manage.py", "up", "--port", str(port), "--sandbox-port", str(sandbox_port)],
            cwd=ROOT,
            env=settings,
            stdout=output,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
        )
    app = RunningApp(f"http://127.0.0.1:{port}", var, process, log)
    try:
        if wait:
            _wait_until_ready(app)
        yield app
    finally:
        app.stop()


def _wait_until_ready(app: RunningApp) -> None:
    deadline = time.monotonic() + START_SECONDS
    while "Ctrl-C stops everything" not in app.output:
        if app.process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"GenFeed did not start:\n{app.output}")
        time.sleep(0.05)
