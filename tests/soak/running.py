"""A soak: an installation at work under mixed traffic for a while, and what it holds then."""

import json
import os
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx

from tests.fleet import Fleet, fleet
from tests.soak.sampling import Held, Sampler, bytes_of, waiting
from tests.soak.traffic import MODEL, Traffic
from tests.soak.verdict import Bounds, Grown, grown, memory_of, problems_of

PATIENCE_SECONDS = 120
# Two processes take turns, more or less.
_FIRST_SYNCS = 6
_PASSWORD = "a soak of an hour"
# Without syncs the price is made up, and a look at the provider's bills would find them wrong. A database that was
# migrated some time ago would have it looked at now, with all else that is done once in a while. What is done each
# minute is done some times at the start: a process of the worker copies pages of its parent with its first task.
_LATER = """
from datetime import timedelta
from django.utils import timezone
from django_q.models import Schedule
from django_q.tasks import async_task
Schedule.objects.exclude(minutes=1).update(next_run=timezone.now() + timedelta(hours=1))
for func in Schedule.objects.filter(minutes=1).values_list("func", flat=True):
    for _ in range(4):
        async_task(func)
"""
# Somebody in the admin, and a key of staff.
_PREPARE = """
from django.contrib.auth.models import User
from django.core.management import call_command
from genfeed.clients.keys import create_key
from genfeed.clients.models import SCOPES, Client
from genfeed.journal.audit import SYSTEM
User.objects.create_superuser("soak", "soak@example.com", {password!r})
client = Client.objects.get(name="Load")
print(create_key(client, actor=SYSTEM, scopes=sorted(set(SCOPES) - {{"admin"}}))[1])
print(create_key(client, actor=SYSTEM, scopes=["admin"])[1])
"""


@dataclass(frozen=True)
class Outcome:
    """What a soak found. `problems` is empty where everything held."""

    seconds: float
    done: Counter[str]
    hooks: int
    late: int
    grown: list[Grown]
    at_rest: dict[str, Held]
    waiting: dict[str, int]
    folder_bytes: int
    # Megabytes of each process at ten moments: a step looks otherwise than a slope.
    memory: dict[str, list[float]]
    problems: list[str]


def soak(
    folder: Path,
    *,
    seconds: float,
    rate: float,
    settings: dict[str, str] | None = None,
    bounds: Bounds,
    rest: float = 10.0,
    syncs: bool = True,
    clients: int = 8,
    crowd: int = 200,
) -> Outcome:
    """Runs an installation in `folder` under traffic of `rate` jobs a second; then waits until nothing is to do.

    `crowd`: jobs that come at once before; more than a dispatcher has threads.
    """
    with _receiver() as (hook, told):
        allowed = {"PUBLIC_URL": "here", "LOG_LEVEL": "WARNING"} | (settings or {})
        with fleet(folder / "var", settings=allowed) as one:
            one.settings["SSRF_ALLOW"] += "," + hook.split("/")[2]
            one.prepare(sold=not syncs)
            if syncs:
                # What is sold is what the provider bills by, or bills would not be right.
                one.manage("sync_models")
                one.manage("sync_prices")
            before = "" if syncs else _LATER
            key, admin_key = one.shell(before + _PREPARE.format(password=_PASSWORD)).splitlines()[-2:]
            one.sandbox.faults(billing_lag=0, processing_ms=400, concurrency=1_000)
            one.start_all()
            if syncs:
                _sync_everywhere(one, admin_key)
            _fill_pools(one, key, crowd)
            traffic = Traffic(one.base_url, key, admin_key, _PASSWORD, hook, rate, clients=clients)
            sampler = Sampler(one, min(10.0, seconds / 30))
            begun = time.monotonic()
            traffic.start()
            sampler.start()
            time.sleep(seconds)
            sampler.stop()
            traffic.stop()
            took = time.monotonic() - begun
            left = waiting(one, patience=PATIENCE_SECONDS)
            time.sleep(rest)
            held = sampler.look()
            problems = problems_of(sampler.samples, held, left, traffic.wrong, bounds)
            problems += _errors(one)
            return Outcome(
                seconds=took,
                done=traffic.done,
                hooks=told[""],
                late=traffic.late,
                grown=grown(sampler.samples, bounds),
                at_rest=held,
                waiting=left,
                folder_bytes=bytes_of(one),
                memory=memory_of(sampler.samples),
                problems=problems,
            )


def _sync_everywhere(one: Fleet, admin_key: str) -> None:
    """Syncs often enough for each process of the worker to have had one.

    Its first takes some 40 MB for good, once in its life: modules that are only imported then, and copies of pages that
    it shared with its parent until it wrote into them. Nothing else is done before the warm-up.
    """
    with httpx.Client(base_url=one.base_url, headers={"Authorization": f"Bearer {admin_key}"}, trust_env=False) as http:
        for _ in range(_FIRST_SYNCS):
            run = http.post("/api/v1/admin/sync", json={}, timeout=60).raise_for_status().json()["id"]
            until = time.monotonic() + PATIENCE_SECONDS
            while http.get(f"/api/v1/admin/sync/{run}").raise_for_status().json()["finished_at"] is None:
                assert time.monotonic() < until, f"sync {run} did not end"
                time.sleep(0.5)


def _fill_pools(one: Fleet, key: str, crowd: int) -> None:
    """Has so much to do at once that the dispatcher begins all the threads and connections that it may have."""
    with httpx.Client(base_url=one.base_url, headers={"Authorization": f"Bearer {key}"}, trust_env=False) as http:
        body = {"model": MODEL, "prompts": [f"a crowd {number}" for number in range(crowd)]}
        made = http.post("/api/v1/batches", json=body, timeout=60).raise_for_status().json()["id"]
        until = time.monotonic() + PATIENCE_SECONDS
        while http.get(f"/api/v1/batches/{made}").raise_for_status().json()["finished_at"] is None:
            assert time.monotonic() < until, "the first batch does not end"
            time.sleep(0.5)


def _errors(one: Fleet) -> list[str]:
    """What the processes logged as errors; "name still runs" where one has ended by itself."""
    ended = [f"{name} has ended by itself" for name, process in one.running.items() if process.poll() is not None]
    lines = [line[:300] for line in one.log.read_text(errors="replace").splitlines() if " ERROR " in line]
    return [*ended, *lines[:5]]


@contextmanager
def _receiver() -> Iterator[tuple[str, Counter[str]]]:
    """Where webhooks go: an address, and how many came."""
    told: Counter[str] = Counter()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            told[""] += 1
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/hook", told
    finally:
        server.shutdown()
        server.server_close()


def words_of(name: str, found: Outcome) -> str:
    """The outcome for people."""
    done = dict(sorted(found.done.items()))
    lines = [
        f"{name}, {found.seconds / 60:.1f} minutes, load {os.getloadavg()[0]:.1f}",
        f"  done: {json.dumps(done)}",
        f"  webhooks received: {found.hooks}; begun over 5 s late: {found.late}",
        *(f"  {one}{'  TOO MUCH' if one.is_too_much else ''}" for one in found.grown),
        *(
            f"  {name}: MB over the time {' '.join(f'{one:.0f}' for one in megabytes)}"
            for name, megabytes in found.memory.items()
        ),
        f"  at rest: { ({who: held.sockets for who, held in found.at_rest.items()}) } sockets",
        f"  waiting at the end: {sum(found.waiting.values())}; in the folder: {found.folder_bytes / 1e6:.0f} MB",
        *(f"  PROBLEM {problem}" for problem in found.problems),
    ]
    return "\n".join(lines)
