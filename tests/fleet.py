"""The processes of one installation, each started by itself: any of them can be killed and started again alone."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import psutil

from tests.running_app import environment
from tests.sandbox_server import ROOT, RunningSandbox, free_port, running_sandbox

START_SECONDS = 60
# One model of the sandbox, sold, or none; a client with money and without limits that bind. Prints its key, and how
# the web process is started.
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
if {sold}:
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
    """Webs, workers and dispatchers by name; `sandbox` stands apart, as the provider does.

    `own`: settings of single processes, as those of another machine; `logs`: where one that is named writes its own.
    """

    def __init__(
        self,
        var: Path,
        sandbox: RunningSandbox,
        settings: dict[str, str],
        *,
        webs: int = 1,
        workers: int = 1,
        dispatchers: int = 1,
    ) -> None:
        self.var = var
        self.sandbox = sandbox
        self.webs = numbered("web", webs)
        self.ports = {name: free_port() for name in self.webs}
        self.port = self.ports[self.webs[0]]
        self.base_url = f"http://127.0.0.1:{self.port}"
        self.base_urls = [f"http://127.0.0.1:{port}" for port in self.ports.values()]
        self.settings = (
            environment(var)
            | {"DJANGO_SETTINGS_MODULE": "genfeed.settings", "LOG_LEVEL": "WARNING", "FAL_MAX_CONCURRENT": "2000"}
            | sandbox.settings()
            | settings
        )
        if self.settings.get("PUBLIC_URL") == "here":
            self.settings["PUBLIC_URL"] = self.base_url
        self.names = [*self.webs, *numbered("worker", workers), *(f"dispatcher {n + 1}" for n in range(dispatchers))]
        self.own: dict[str, dict[str, str]] = {}
        self.logs: dict[str, Path] = {}
        self.dispatch = ["manage.py", "dispatch"]
        self.work = ["manage.py", "qcluster"]
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

    def prepare(self, *, sold: bool = True) -> str:
        """Makes the database, one client and, where it is to be `sold`, one model; the text of the client's key."""
        self.var.mkdir(parents=True, exist_ok=True)
        printed = self.shell(_PREPARE.format(funded=FUNDED, port=self.port, sold=sold)).splitlines()[-1]
        key, self._web = json.loads(printed)
        return str(key)

    def start(self, name: str) -> None:
        """Starts one process."""
        with self.logs.get(name, self.log).open("ab") as log:
            self.running[name] = subprocess.Popen(
                self._command(name),
                cwd=ROOT,
                env=self.settings | self.own.get(name, {}),
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
        """Until every web process answers."""
        deadline = time.monotonic() + START_SECONDS
        waiting = list(self.base_urls)
        while waiting and time.monotonic() < deadline:
            try:
                if httpx.get(f"{waiting[0]}/healthz", trust_env=False).status_code == 200:
                    waiting.pop(0)
            except httpx.TransportError:
                time.sleep(0.05)
        if waiting:
            raise RuntimeError(f"the web process did not start:\n{self.log.read_text()[-5000:]}")

    def kill(self, name: str) -> None:
        """kill -9 to a process and all that it has started."""
        process = self.running.pop(name)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def pause(self, name: str) -> None:
        """SIGSTOP to a process and all that it has started: as a machine that hangs."""
        os.killpg(self.running[name].pid, signal.SIGSTOP)

    def go_on(self, name: str) -> None:
        """SIGCONT: it does not know that time has passed."""
        os.killpg(self.running[name].pid, signal.SIGCONT)

    def end(self, name: str) -> None:
        """SIGTERM to one process, as a restart does; SIGKILL where it stays."""
        process = self.running.pop(name)
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def stop(self) -> None:
        """SIGTERM to all; SIGKILL to what stays."""
        for process in self.running.values():
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGCONT)
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
        if name in self.webs:
            return [str(self.ports[name]) if part == str(self.port) else part for part in self._web]
        if name.startswith("worker"):
            return [sys.executable, *self.work]
        return [sys.executable, *self.dispatch]


def numbered(name: str, count: int) -> list[str]:
    """The first goes without a number."""
    return [name, *(f"{name} {number}" for number in range(2, count + 1))]


@contextmanager
def fleet(
    var: Path,
    *,
    settings: dict[str, str] | None = None,
    webs: int = 1,
    workers: int = 1,
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
        one = Fleet(var, sandbox, settings or {}, webs=webs, workers=workers, dispatchers=dispatchers)
        if not worker:
            one.names.remove("worker")
        try:
            yield one
        finally:
            one.stop()
