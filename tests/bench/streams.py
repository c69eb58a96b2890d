"""Events followed live: a thousand streams on one machine while jobs run (`python -m tests.bench.streams`)."""

import json
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import urlsplit

import httpx
import psutil

from tests.bench.jobs import _BODY, _load, _postgres, _running, _sqlite, _watching, _words
from tests.bench.rows import Row, below
from tests.fleet import Fleet
from tests.sandbox_server import ROOT

CLIENTS, EACH = 200, 4
RATE, JOBS = 20, 400
# Lists of models asked for in a second meanwhile.
READS = 50
# So long that RATE times it are followed one by one, beside those of clients.
PROCESSING_MS = 10_000
_CLIENTS = """
import json
from genfeed.clients.keys import create_key
from genfeed.clients.models import Client
from genfeed.journal.audit import SYSTEM
from pricing.ledger.accounts import top_up
keys = []
for number in range({clients}):
    client = Client.objects.create(name=f"Follower {{number}}", jobs_per_minute=1_000_000, reads_per_minute=10_000_000)
    top_up(client.pk, 10**12, actor=SYSTEM, reason="bench")
    keys.append(create_key(client, actor=SYSTEM, scopes=["jobs:write", "jobs:read"])[1])
print(json.dumps(keys))
"""
_EVENTS = """
import json
from jobs.models import JobEvent
print(json.dumps(list(JobEvent.objects.values_list("job", "number"))))
"""


def measure(only: Sequence[str] = ()) -> Iterator[Row]:
    """Each database in an installation of its own; `only` names some of them."""
    for name, database in (("SQLite", _sqlite), ("PostgreSQL", _postgres)):
        if not only or name in only:
            with database() as settings:
                yield from _followed(name, settings | {"PUBLIC_URL": "here"})


def _followed(name: str, settings: dict[str, str]) -> Iterator[Row]:
    with _running(settings, processing_ms=PROCESSING_MS) as (one, headers), _watching(one) as ends:
        keys = json.loads(one.shell(_CLIENTS.format(clients=CLIENTS)).splitlines()[-1])
        quiet = web_mb(one)
        followers = subprocess.Popen(
            [sys.executable, "-m", "tests.bench.following", str(one.port)],
            cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert followers.stdin is not None and followers.stdout is not None  # noqa: PT018
        print(json.dumps([[key, EACH] for key in keys]), file=followers.stdin, flush=True)
        assert followers.stdout.readline().strip() == "ready"
        idle = web_mb(one)
        before = one.cpu_seconds()
        lists: list[float] = []
        asking = threading.Thread(target=_ask, args=(f"{one.base_url}/api/v1/models", headers, lists))
        asking.start()
        owners, posts, peak = _post_all(one, keys, followers.stdin)
        asking.join()
        found = ends()
        peak = max(peak, web_mb(one))
        used = one.cpu_seconds()["web"] - before["web"]
        followers.stdin.close()
        streams = json.loads(followers.stdout.readline())
        followers.wait(30)
        expected: dict[str, list[int]] = defaultdict(list)
        for job, number in json.loads(one.shell(_EVENTS).splitlines()[-1]):
            expected[job].append(number)
    wrong, waits = _compare(streams, owners, expected)
    waits.sort()
    told = sum(len(stream[2]) for stream in streams)
    note = f"{told:,} events to {len(streams):,} streams, {wrong} told wrongly; {_words(found)}{_load()}"
    yield Row(f"{CLIENTS * EACH} streams of clients, {JOBS} of jobs, {RATE} jobs/s, {name}", note, "all", not wrong)
    p99 = waits[int(len(waits) * 0.99)]
    yield below("  event to follower, p50", waits[len(waits) // 2], 300, "ms", f", p99 {p99:.0f} ms")
    note = f", {quiet:.0f} MB without streams, {idle:.0f} MB with {CLIENTS * EACH}; {used:.0f} s of a core in all"
    yield below("  memory of the web processes at most", peak, 600, "MB", note)
    for what, took in ((f"list of models meanwhile, {READS}/s", lists), ("POST /jobs meanwhile", posts)):
        took.sort()
        note = f", p50 {took[len(took) // 2]:.0f} ms"
        yield below(f"  {what}, p99", took[int(len(took) * 0.99)], 250, "ms", note)


def web_mb(one: Fleet) -> float:
    """What the web process and its children hold, in MB; shared pages count once a process."""
    root = psutil.Process(one.running["web"].pid)
    return sum(process.memory_info().rss for process in (root, *root.children(recursive=True))) / 1e6


def _ask(url: str, headers: dict[str, str], took: list[float]) -> None:
    """Asks at an even pace for as long as jobs are posted; ms of each answer."""
    started = time.monotonic()
    with httpx.Client(headers=headers, timeout=60, trust_env=False) as http:
        for number in range(JOBS // RATE * READS):
            time.sleep(max(0.0, started + number / READS - time.monotonic()))
            begun = time.perf_counter()
            assert http.get(url).status_code == 200
            took.append(1000 * (time.perf_counter() - begun))


def _post_all(one: Fleet, keys: list[str], followers: Any) -> tuple[dict[str, str], list[float], float]:
    """Posts jobs at an even pace, each client in its turn; whose each job is, ms of each POST, the most memory."""
    owners: dict[str, str] = {}
    posts: list[float] = []
    peak = 0.0
    left = iter(range(JOBS))
    lock = threading.Lock()
    started = time.monotonic()

    def work() -> None:
        nonlocal peak
        with httpx.Client(timeout=60, trust_env=False) as http:
            while True:
                with lock:
                    number = next(left, None)
                if number is None:
                    return
                time.sleep(max(0.0, started + number / RATE - time.monotonic()))
                key = keys[number % len(keys)]
                begun = time.perf_counter()
                answer = http.post(
                    f"{one.base_url}/api/v1/jobs", json=_BODY, headers={"Authorization": f"Bearer {key}"}
                )
                posts.append(1000 * (time.perf_counter() - begun))
                assert answer.status_code == 201, answer.text
                body = answer.json()
                url = urlsplit(body["events_url"])
                with lock:
                    owners[body["id"]] = key
                    print(json.dumps([body["id"], f"{url.path}?{url.query}"]), file=followers, flush=True)
                    if number % RATE == 0:
                        peak = max(peak, web_mb(one))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return owners, posts, peak


def _compare(streams: list[Any], owners: dict[str, str], expected: dict[str, list[int]]) -> tuple[int, list[float]]:
    """How many events were lost, doubled or out of order, and the waits of all."""
    wrong, waits = 0, []
    of_client: dict[str, dict[str, list[int]]] = defaultdict(dict)
    for job, key in owners.items():
        of_client[key][job] = sorted(expected[job])
    for whose, status, told, took in streams:
        found: dict[str, list[int]] = defaultdict(list)
        for job, number in told:
            found[job].append(number)
        want = {whose: sorted(expected[whose])} if whose in expected else of_client[whose]
        wrong += sum(found.get(job) != numbers for job, numbers in want.items()) + len(set(found) - set(want))
        wrong += status != 200
        waits += took
    return wrong, waits


if __name__ == "__main__":
    for row in measure(sys.argv[1:]):
        print(row, flush=True)
