"""What the processes of an installation hold, looked at again and again: memory, files, sockets, threads."""

import json
import os
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from tests.fleet import Fleet

# Rows that wait for something, once none does or the patience is over: at the end of a soak there is none of them.
_WAITING = """
import json, time
from django_q.models import OrmQ
from genfeed.journal.models import OutboxEvent
from jobs.assets.models import Asset, Handover
from jobs.models import OPEN, Batch, Job, WebhookDelivery, WorkflowRun
from pricing.ledger.checking import check_ledger
from pricing.models import Hold
def waiting():
    return {{
        "open jobs": Job.objects.filter(status__in=OPEN).count(),
        "open holds": Hold.objects.filter(closed_at=None).count(),
        "open batches": Batch.objects.filter(finished_at=None).count(),
        "open workflows": WorkflowRun.objects.filter(finished_at=None).count(),
        "news not told": OutboxEvent.objects.filter(delivered_at=None).count(),
        "webhooks not delivered": WebhookDelivery.objects.filter(status="pending").count(),
        "files not fetched": Asset.objects.filter(state="pending").count(),
        "files not handed over": Handover.objects.count(),
        "tasks not done": OrmQ.objects.count(),
        "faults of the ledger": len(check_ledger()),
    }}
until = time.monotonic() + {patience}
while any((found := waiting()).values()) and time.monotonic() < until:
    time.sleep(0.5)
print(json.dumps(found))
"""


@dataclass(frozen=True)
class Held:
    """What one process and its children hold at a moment.

    `memory`: bytes that belong to no file, each page once, however many of them share it. Only to count what each has
    for itself would leave out what children have from their parent, and count twice what one of two writes into and
    therefore gets a copy of. Pages of files (libraries) are shared by all that runs on the machine: a process's part
    of them grows when others end.
    """

    memory: int
    files: int
    sockets: int
    threads: int
    # Of them: the other side has gone, and nobody has closed ours.
    forgotten: int
    database: int


@dataclass
class Sampler:
    """Looks every `every` seconds, in a thread, until it is stopped."""

    one: Fleet
    every: float
    samples: list[tuple[float, dict[str, Held]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        # Fails where the system does not tell: what can't be read would look like nothing.
        _memory(os.getpid())
        self._stop = threading.Event()
        self._started = time.monotonic()
        self._thread = threading.Thread(target=self._work, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(30)
        assert not self._thread.is_alive(), "the sampler does not end"

    def look(self) -> dict[str, Held]:
        """What each process holds now."""
        pids = {name: process.pid for name, process in self.one.running.items()}
        return {name: _held(pid) for name, pid in {**pids, "sandbox": self.one.sandbox.pid}.items()}

    def _work(self) -> None:
        while not self._stop.wait(self.every):
            self.samples.append((time.monotonic() - self._started, self.look()))


def waiting(one: Fleet, *, patience: float) -> dict[str, int]:
    """How many rows wait for something, by what they are, when all that was begun has had its time."""
    found: dict[str, int] = json.loads(one.shell(_WAITING.format(patience=patience)).splitlines()[-1])
    return found


def bytes_of(one: Fleet) -> int:
    """What lies in the installation's folder."""
    return sum(path.stat().st_size for path in one.var.rglob("*") if path.is_file())


def _held(pid: int) -> Held:
    memory = files = sockets = threads = forgotten = database = 0
    for process in _family(pid):
        try:
            memory += _memory(process.pid)
            files += process.num_fds()
            threads += process.num_threads()
            sides = process.net_connections("all")
            sockets += len(sides)
            forgotten += sum(side.status == psutil.CONN_CLOSE_WAIT for side in sides)
            database += sum(".s.PGSQL" in str(side.raddr) for side in sides)
            database += sum("db.sqlite3" in file.path for file in process.open_files())
        except (psutil.NoSuchProcess, FileNotFoundError, ProcessLookupError):
            continue
    return Held(memory, files, sockets, threads, forgotten, database)


def _memory(pid: int) -> int:
    """Bytes of a process that lie in no file, and its part of those that it shares (Linux 5.4 and later tell them)."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    kilobytes = {line.split(":")[0]: line.split()[-2] for line in lines if line.endswith(" kB")}
    return 1024 * (int(kilobytes["Pss_Anon"]) + int(kilobytes["Pss_Shmem"]))


def _family(pid: int) -> list[psutil.Process]:
    try:
        root = psutil.Process(pid)
        return [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []
