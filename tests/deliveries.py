"""Webhooks to a receiver that fails a third of the time, their senders killed with -9 meanwhile, and what is proven.

The senders are `manage.py dispatch` in processes of their own, on a database of their own.
"""

import json
import random
import signal
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from tests.flaky import TAKEN, Attempt, FlakyReceiver
from tests.hurried import ATTEMPT_SECONDS
from tests.running_app import environment
from tests.sandbox_server import ROOT

PATIENCE_SECONDS = 150
_PREPARE = """
import json
from django.core.management import call_command
from genfeed.clients.models import Client
from genfeed.journal.audit import SYSTEM
from genfeed.journal.models import OutboxEvent
from jobs.webhooks.endpoints import make_endpoint
call_command("migrate", verbosity=0)
client = Client.objects.create(name="Load")
for number in range({endpoints}):
    kind = "ordered" if number < {ordered} else "free"
    make_endpoint(
        client.pk, url=f"http://{pair}/{{kind}}/{{number}}", events=["balance.low"], ordered=kind == "ordered",
        actor=SYSTEM,
    )
OutboxEvent.objects.bulk_create(
    OutboxEvent(kind="balance.low", subject="load", client_id=client.pk, payload={{"number": number}})
    for number in range({events})
)
"""
# Waits until every delivery is written down as such: what a killed sender had been told but not written comes once more
# when its claim has ended.
_FOUND = """
import json, time
from collections import Counter
from django.db.models import Sum
from jobs.webhooks.models import WebhookDelivery
until = time.monotonic() + 20
while WebhookDelivery.objects.exclude(status="delivered").exists() and time.monotonic() < until:
    time.sleep(0.05)
print(json.dumps([
    Counter(WebhookDelivery.objects.values_list("status", flat=True)),
    WebhookDelivery.objects.aggregate(n=Sum("attempts"))["n"],
]))
"""


@dataclass
class Outcome:
    """What came of a run. `problems` is empty where everything held.

    `repeated`: attempts after a 2xx whose sender was killed before it could write that down; nobody could know better.
    `rate`: deliveries taken a second; `cpu_ms`: of a core for one attempt; `memory_mb`: of the largest sender.
    """

    deliveries: int
    attempts: int
    failed_attempts: int
    kills: int
    repeated: int
    seconds: float
    rate: float
    cpu_ms: float
    memory_mb: float
    problems: list[str] = field(default_factory=list)


class Senders:
    """Processes that deliver, each killed and started again by number."""

    def __init__(self, settings: dict[str, str], log: Path) -> None:
        self._settings = settings
        self._log = log
        self._running: dict[int, subprocess.Popen[bytes]] = {}
        self.cpu_seconds = 0.0
        self.memory_mb = 0.0

    def start(self, number: int) -> None:
        with self._log.open("ab") as log:
            self._running[number] = subprocess.Popen(
                [sys.executable, "-m", "tests.hurried"],
                cwd=ROOT,
                env=self._settings,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def kill(self, number: int) -> None:
        """kill -9, at whatever it is doing."""
        self._account(number)
        process = self._running.pop(number)
        process.send_signal(signal.SIGKILL)
        process.wait()

    def look(self) -> None:
        """Notes the memory held now."""
        for process in self._running.values():
            self.memory_mb = max(self.memory_mb, psutil.Process(process.pid).memory_info().rss / 1e6)

    def stop(self) -> None:
        for number, process in self._running.items():
            self._account(number)
            process.terminate()
        for process in self._running.values():
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._running.clear()

    def _account(self, number: int) -> None:
        process = self._running[number]
        if process.poll() is None:
            times = psutil.Process(process.pid).cpu_times()
            self.cpu_seconds += times.user + times.system


def run(
    folder: Path,
    *,
    events: int,
    endpoints: int,
    ordered: int,
    senders: int = 2,
    kills: int = 0,
    fails: bool = True,
    seed: int = 1,
    database: dict[str, str] | None = None,
) -> Outcome:
    """Delivers `events` to each of `endpoints`, the first `ordered` of which ask for order."""
    deliveries = events * endpoints
    with FlakyReceiver(seed=seed, fails=fails) as receiver, _installation(folder, receiver, database) as settings:
        _shell(settings, _PREPARE.format(events=events, endpoints=endpoints, ordered=ordered, pair=receiver.pair))
        work = Senders(settings, folder / "senders.log")
        started = time.monotonic()
        try:
            for number in range(senders):
                work.start(number)
            killed = _deliver(receiver, work, deliveries, senders, kills, random.Random(seed))
            by, counted = json.loads(_shell(settings, _FOUND).splitlines()[-1])
        finally:
            ended = receiver.attempts[-1].at if receiver.attempts else started
            work.stop()
        # From the first attempt: starting Python is no delivering.
        took = ended - receiver.attempts[0].at if receiver.attempts else 0.0
        return _judge(receiver.attempts, deliveries, killed, took, work, by, counted)


@contextmanager
def _installation(folder: Path, receiver: FlakyReceiver, database: dict[str, str] | None) -> Iterator[dict[str, str]]:
    (folder / "var").mkdir(parents=True, exist_ok=True)
    yield (
        environment(folder / "var")
        | {"DJANGO_SETTINGS_MODULE": "genfeed.settings", "LOG_LEVEL": "WARNING", "SSRF_ALLOW": receiver.pair}
        | (database or {})
    )


def _shell(settings: dict[str, str], code: str) -> str:
    command = [sys.executable, "manage.py", "shell", "--no-imports", "-c", code]
    done = subprocess.run(command, cwd=ROOT, env=settings, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def _deliver(
    receiver: FlakyReceiver, work: Senders, deliveries: int, senders: int, kills: int, chance: random.Random
) -> list[float]:
    """Waits until everything was taken once, killing meanwhile; when the kills were."""
    killed: list[float] = []
    moments = sorted(deliveries * chance.uniform(0.05, 0.9) for _ in range(kills))
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        taken = len({(one.path, one.id) for one in receiver.attempts if one.answer == TAKEN})
        if len(killed) < kills and taken >= moments[len(killed)]:
            number = len(killed) % senders
            work.kill(number)
            killed.append(time.monotonic())
            work.start(number)
        if taken >= deliveries and len(killed) == kills:
            break
        work.look()
        time.sleep(0.05)
    return killed


def _judge(
    attempts: list[Attempt],
    deliveries: int,
    killed: list[float],
    took: float,
    work: Senders,
    by: dict[str, int],
    counted: int,
) -> Outcome:
    problems: list[str] = []
    taken: dict[tuple[str, str], float] = {}
    repeated = 0
    for one in attempts:
        before = taken.get((one.path, one.id))
        if before is not None:
            # Only the sender that asked could know of the 2xx: it must have died before it could write that down.
            if any(before <= kill <= before + ATTEMPT_SECONDS for kill in killed):
                repeated += 1
            else:
                problems.append(f"{one.path} got number {one.number} again after it had taken it")
        if one.answer == TAKEN:
            taken[one.path, one.id] = one.at
    if len(taken) != deliveries:
        problems.append(f"{len(taken)} of {deliveries} were taken")
    if by != {"delivered": deliveries}:
        problems.append(f"the database has {by}")
    if counted < len(attempts):
        problems.append(f"{len(attempts)} attempts came, and {counted} were counted")
    problems += _out_of_order(attempts)
    failed = sum(one.answer != TAKEN for one in attempts)
    return Outcome(
        deliveries=deliveries,
        attempts=len(attempts),
        failed_attempts=failed,
        kills=len(killed),
        repeated=repeated,
        seconds=took,
        rate=deliveries / took if took else 0.0,
        cpu_ms=1000 * work.cpu_seconds / max(1, len(attempts)),
        memory_mb=work.memory_mb,
        problems=problems,
    )


def _out_of_order(attempts: list[Attempt]) -> list[str]:
    """At ordered paths each number comes only after the one before was taken, and none comes back after a later one."""
    lines: dict[str, list[Attempt]] = defaultdict(list)
    for one in attempts:
        if one.path.startswith("/ordered/"):
            lines[one.path].append(one)
    wrong = []
    for path, line in lines.items():
        last, is_taken = 0, False
        for one in line:
            if one.number != last and not (one.number == last + 1 and is_taken):
                wrong.append(f"{path} got number {one.number} after {last}")
            is_taken = one.answer == TAKEN or (is_taken and one.number == last)
            last = one.number
    return wrong
