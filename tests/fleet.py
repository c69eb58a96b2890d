"""The processes of one installation, each started by itself: any of them can be killed and started again alone."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil

from tests.running_app import environment
from tests.sandbox_server import ROOT, RunningSandbox, free_port, running_sandbox

START_SECONDS = 60
# One model of the sandbox, sold; a client with money and without limits that bind. Prints its key, and how the web
# process is started.
_PREPARE = """
import json
from django.core.management import call_command
from genfeed.clients.keys import create_key
from genfeed.clients.models import Client
from genfeed.journal.audit import SYSTEM
from pricing.ledger.accounts import top_up
from genfeed.up import web_command
from tests.pricing.estimates.sold import IMAGES_OUT, make_sold
call_command("migrate", verbosity=0)
make_sold("fal-ai/flux/dev", outputs=IMAGES_OUT)
client = Client.objects.create(
    name="Load", jobs_per_minute=1_000_000, reads_per_minute=10_000_000, max_in_flight=100_000, max_queued=1_000_000
)
top_up(client.pk, {funded}, actor=SYSTEM, reason="load")
key = create_key(client, actor=SYSTEM, scopes=["jobs:write", "jobs:read", "models:read", "usage:read", "estimates"])[1]
print(json.dumps([key, web_command("127.0.0.1", {port})]))
"""
FUNDED = 10**15


class Fleet:
    """Web, worker and dispatchers by name; `sandbox` stands apart, as the provider does."""

    def __init__(self, var: Path, sandbox: RunningSandbox, settings: dict[str, str], *, dispatchers: int) -> None:
        self.var = var
        self.sandbox = sandbox
        self.port = free_port()
        self.base_url = f"http://127.0.0.1:{self.port}"
        self.settings = (
            environment(var)
            | {"DJANGO_SETTINGS_MODULE": "genfeed.settings", "LOG_LEVEL": "WARNING", "FAL_MAX_CONCURRENT": "2000"}
            | sandbox.settings()
            | settings
        )
        if self.settings.get("PUBLIC_URL") == "here":
            self.settings["PUBLIC_URL"] = self.base_url
        self.names = ["web", "worker", *(f"dispatcher {number + 1}" for number in range(dispatchers))]
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        self._web: list[str] = []
        self.log = var.parent / f"{var.name}.log"

    def manage(self, *arguments: str) -> str:
        """The output of a command of this installation; fails with what it printed."""
        command = [sys.executable, "manage.py", *arguments]
        done = subprocess.run(command, cwd=ROOT, env=self.settings, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def shell(self, code: str) -> str:
        """What a piece of Python prints, with the installation's settings and models at hand."""
        return self.manage("shell", "--no-imports", "-c", code).strip()

    def prepare(self) -> str:
        """Makes the database, one model and one client; the text of its key."""
        self.var.mkdir(parents=True, exist_ok=True)
        printed = self.shell(_PREPARE.format(funded=FUNDED, port=self.port)).splitlines()[-1]
        key, self._web = json.loads(printed)
        return str(key)

    def start(self, name: str) -> None:
        """Starts one process."""
        with self.log.open("ab") as log:
            self.running[name] = subprocess.Popen(
                self._command(name),
                cwd=ROOT,
                env=self.settings,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def start_all(self) -> None:
        """Starts what does not run, and waits until the web process answers."""
        for name in self.names:
            if name not in self.running:
                self.start(name)
        self.wait_for_web()

    def wait_for_web(self) -> None:
        """Until the web process answers."""
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            try:
                if httpx.get(f"{self.base_url}/healthz", trust_env=False).status_code == 200:
                    return
            except httpx.TransportError:
                time.sleep(0.05)
        raise RuntimeError(f"the web process did not start:\n{self.log.read_text()[-5000:]}")

    def kill(self, name: str) -> None:
        """kill -9 to a process and all that it has started."""
        process = self.running.pop(name)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def stop(self) -> None:
        """SIGTERM to all; SIGKILL to what stays."""
        for process in self.running.values():
            process.terminate()
        for process in self.running.values():
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        self.running.clear()

    def memory_mb(self) -> float:
        """The memory of all processes and their children, the sandbox's too; shared pages count once a process."""
        roots = [psutil.Process(process.pid) for process in self.running.values()] + [psutil.Process(self.sandbox.pid)]
        total = 0
        for root in roots:
            for process in (root, *root.children(recursive=True)):
                try:
                    total += process.memory_info().rss
                except psutil.NoSuchProcess:
                    continue
        return total / 1e6

    def cpu_seconds(self) -> dict[str, float]:
        """What each process and its children have used of a core so far."""
        used = {}
        for name, pid in {**{name: one.pid for name, one in self.running.items()}, "sandbox": self.sandbox.pid}.items():
            root = psutil.Process(pid)
            times = [process.cpu_times() for process in (root, *root.children(recursive=True))]
            used[name] = sum(one.user + one.system for one in times)
        return used

    def _command(self, name: str) -> list[str]:
        if name == "web":
            return self._web
        if name == "worker":
            return [sys.executable, "manage.py", "qcluster"]
        return [sys.executable, "manage.py", "dispatch"]


@contextmanager
def fleet(
    var: Path,
    *,
    settings: dict[str, str] | None = None,
    dispatchers: int = 1,
    worker: bool = True,
    migrated: Path | None = None,
) -> Iterator[Fleet]:
    """A fleet that is not started yet, beside a running sandbox. PUBLIC_URL `here` is the web process's own address.

    `migrated`: a SQLite database to begin with a copy of, which spares it all the migrations.
    """
    if migrated is not None:
        var.mkdir(parents=True, exist_ok=True)
        shutil.copy(migrated, var / "db.sqlite3")
    with running_sandbox() as sandbox:
        one = Fleet(var, sandbox, settings or {}, dispatchers=dispatchers)
        if not worker:
            one.names.remove("worker")
        try:
            yield one
        finally:
            one.stop()
