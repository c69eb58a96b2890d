"""Jobs: accepting under load, everything from acceptance to settlement on one machine, latencies, many in flight."""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.bench import asking, load
from tests.bench.ledger import postgres
from tests.bench.rows import Row, above, below
from tests.fleet import Fleet, fleet
from tests.sandbox_server import ROOT

CONNECTIONS = 16
SUSTAINED_JOBS = 1_200
STEADY_RATE, STEADY_JOBS = 20, 200
MANY = 1_000
# So many of them must be there together, whatever ends early.
MANY_AT_ONCE = 950
PATIENCE_SECONDS = 180
_BODY = {"model": "fal-ai/flux/dev", "input": {"prompt": "a lighthouse at dusk", "num_images": 1}}
# Waits until it is told to, then until no job is open; what there is then: moments in seconds, statuses, ends, records,
# what is wrong.
_ENDS = """
import json, sys, time
from collections import Counter
from jobs.models import OPEN, Job, JobEvent
from pricing.ledger.checking import check_ledger
from pricing.models import UsageRecord
print("ready", flush=True)
sys.stdin.readline()
until = time.monotonic() + {patience}
while Job.objects.filter(status__in=OPEN).exists() and time.monotonic() < until:
    time.sleep(0.5)
names = ["request_id", "created_at", "submitted_at", "finished_at"]
print(json.dumps(dict(
    jobs=[[row[0], *(one and one.timestamp() for one in row[1:])] for row in Job.objects.values_list(*names)],
    by=Counter(Job.objects.values_list("status", flat=True)),
    ends=JobEvent.objects.filter(kind__in=["job_succeeded", "job_failed", "job_canceled"]).count(),
    records=UsageRecord.objects.count(),
    wrong=len(check_ledger()),
)))
"""


def measure(only: Sequence[str] = ()) -> Iterator[Row]:
    """Each measurement in an installation of its own, on both databases; `only` names some of them."""
    for name, database in (("SQLite", _sqlite), ("PostgreSQL", _postgres)):
        for part in (_accepting, _sustained, _steady, _many):
            if not only or {name, part.__name__[1:]} <= {*only}:
                with database() as settings:
                    yield from part(name, settings)


@contextmanager
def _sqlite() -> Iterator[dict[str, str]]:
    yield {}


@contextmanager
def _postgres() -> Iterator[dict[str, str]]:
    with postgres() as url:
        yield {"DATABASE_URL": url}


@contextmanager
def _running(
    settings: dict[str, str], *, dispatch: bool = True, **faults: object
) -> Iterator[tuple[Fleet, dict[str, str]]]:
    """A fleet at work, and the headers of its client."""
    with (
        tempfile.TemporaryDirectory(prefix="genfeed-bench-jobs-", ignore_cleanup_errors=True) as folder,
        fleet(Path(folder) / "var", settings=settings, dispatchers=int(dispatch)) as one,
    ):
        headers = {"Authorization": f"Bearer {one.prepare()}"}
        one.sandbox.faults(billing_lag=0, concurrency=5_000, **faults)
        one.start_all()
        yield one, headers


def _accepting(name: str, settings: dict[str, str]) -> Iterator[Row]:
    """POST /jobs with nothing else at work."""
    with _running(settings, dispatch=False) as (one, headers):
        address, body = f"{one.base_url}/api/v1/jobs", json.dumps(_BODY).encode()
        load.run(address, headers=headers, seconds=1, body=body, expected=201)
        result = load.run(address, headers=headers, body=body, expected=201)
        note = f", p50 {result.p50:.0f} ms, {result.failures} failed{_load()}"
        yield above(f"POST /jobs, {CONNECTIONS} connections, {name}", result.per_second, 150, "jobs/s", note)
        yield below("  its p99", result.p99, 250, "ms")


def _sustained(name: str, settings: dict[str, str]) -> Iterator[Row]:
    """As many jobs as clients are answered; the time from the first POST until the last job is settled."""
    with _running(settings | {"PUBLIC_URL": "here"}, processing_ms=100) as (one, headers), _watching(one) as ends:
        before = one.cpu_seconds()
        started = time.time()
        sent = _send(one, headers, jobs=SUSTAINED_JOBS, connections=CONNECTIONS)
        found = ends()
        ended = max(job[3] for job in found["jobs"])
        note = f", all accepted after {sent:.0f} s, {_words(found)}{_load()}"
        used = {who: 1000 * (now - before[who]) / SUSTAINED_JOBS for who, now in one.cpu_seconds().items()}
        note += ", of a core for each job: " + ", ".join(f"{who} {ms:.1f} ms" for who, ms in used.items())
        rate = SUSTAINED_JOBS / (ended - started)
        yield above(f"accepted to settled, {SUSTAINED_JOBS} jobs, everything here, {name}", rate, 60, "jobs/s", note)


def _steady(name: str, settings: dict[str, str]) -> Iterator[Row]:
    """A few jobs a second: how long each waits for its submit, and its end for its webhook."""
    with _running(settings | {"PUBLIC_URL": "here"}, processing_ms=300) as (one, headers), _watching(one) as ends:
        _send(one, headers, jobs=STEADY_JOBS, connections=4, every=1 / STEADY_RATE)
        found = ends()
        webhooks = one.sandbox.webhooks()
        told = {attempt["request_id"]: attempt["at"] for attempt in webhooks if attempt["number"] == 0}
        submits = [1000 * (job[2] - job[1]) for job in found["jobs"]]
        ends = [1000 * (job[3] - told[job[0]]) for job in found["jobs"] if job[0] in told]
        yield below(f"{STEADY_RATE} jobs/s, accepted to submitted, p50, {name}", statistics.median(submits), 150, "ms")
        note = f" ({_words(found)}{_load()})"
        yield below("  provider's webhook to our event, p50", statistics.median(ends), 150, "ms", note)
        answers = sorted(1000 * attempt["seconds"] for attempt in webhooks if attempt["seconds"] is not None)
        note = f", p99 {answers[int(len(answers) * 0.99)]:.0f} ms"
        yield below("  our answer to a webhook, p50", statistics.median(answers), 100, "ms", note)


def _many(name: str, settings: dict[str, str]) -> Iterator[Row]:
    """A thousand jobs at the provider at once, the list of models asked for meanwhile."""
    with _running(settings | {"PUBLIC_URL": "here"}, processing_ms=40_000) as (one, headers), _watching(one) as ends:
        _send(one, headers, jobs=MANY, connections=CONNECTIONS)
        until = time.monotonic() + PATIENCE_SECONDS
        while one.sandbox.queue()["accepted"] < MANY and time.monotonic() < until:
            time.sleep(0.2)
        at_once = one.sandbox.queue()["running"]
        lists: list[load.Load] = []
        asking = threading.Thread(
            target=lambda: lists.append(
                load.run(f"{one.base_url}/api/v1/models", headers=headers, connections=2, seconds=25)
            )
        )
        asking.start()
        memory = one.memory_mb()
        while asking.is_alive():
            memory = max(memory, one.memory_mb())
            time.sleep(0.5)
        found = ends()
        ended = found["by"].get("succeeded") == found["ends"] == found["records"] == MANY and not found["wrong"]
        what, bar = f"{MANY} jobs, {at_once} at the provider at once, {name}", f"all, {MANY_AT_ONCE} of them at once"
        yield Row(what, f"{_words(found)}{_load()}", bar, ended and at_once >= MANY_AT_ONCE)
        yield below("  list of models meanwhile, p99", lists[0].p99, 250, "ms", f", {lists[0].per_second:.0f}/s")
        yield below("  memory of all processes, the sandbox's too", memory, 1500, "MB")


def _send(one: Fleet, headers: dict[str, str], *, jobs: int, connections: int, every: float = 0) -> float:
    """Sends jobs, each accepted at its first try; the seconds that it took."""
    sent = headers | {"Content-Type": "application/json"}
    started = time.monotonic()
    body = json.dumps(_BODY).encode()
    found = asking.run_count(f"{one.base_url}/api/v1/jobs", sent, connections, jobs, body, 201, every=every)
    assert (len(found.latencies), found.failures) == (jobs, 0), f"{found.failures} of {jobs} were not accepted"
    return time.monotonic() - started


@contextmanager
def _watching(one: Fleet) -> Iterator[Callable[[], dict[str, Any]]]:
    """What waits for the end of all jobs and tells of them; it starts here, before anything is measured."""
    command = [sys.executable, "manage.py", "shell", "--no-imports", "-c", _ENDS.format(patience=PATIENCE_SECONDS)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, cwd=ROOT, env=one.settings, text=True, **pipes) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == "ready\n"
            yield lambda: json.loads(process.communicate("\n", timeout=PATIENCE_SECONDS + 60)[0].splitlines()[-1])
        finally:
            process.kill()


def _words(found: dict[str, Any]) -> str:
    ends = ", ".join(f"{number:,} {status}" for status, number in found["by"].items())
    return f"{ends}, the ledger {'is proven' if not found['wrong'] else 'IS WRONG'}"


def _load() -> str:
    """Figures of a machine that does other things too are lower: what it had to do is said beside them."""
    return f", load {os.getloadavg()[0]:.1f}"


if __name__ == "__main__":
    for row in measure(sys.argv[1:]):
        print(row, flush=True)
