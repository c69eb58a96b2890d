"""Software of others against GenFeed: what it costs over the provider itself (`python -m tests.bench.protocols`)."""

import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence

import fal_client
from fal_client import client as module

from tests.bench import load
from tests.bench.jobs import _load, _postgres, _running, _sqlite
from tests.bench.rows import Row, above, below
from tests.fleet import Fleet
from tests.sandbox_server import API_KEY

MODEL = "fal-ai/flux/dev"
FOX = {"prompt": "a fox"}
RATE, SECONDS = 10, 8
CONNECTIONS = 16


def measure(only: Sequence[str] = ()) -> Iterator[Row]:
    """fal's own client, at the sandbox and here, on each database; `only` names some of them."""
    for name, database in (("SQLite", _sqlite), ("PostgreSQL", _postgres)):
        if not only or name in only:
            with database() as settings:
                yield from _fal(name, settings)


def _fal(name: str, settings: dict[str, str]) -> Iterator[Row]:
    with _running(settings, processing_ms=500) as (one, headers):
        key = headers["Authorization"].removeprefix("Bearer ")
        direct = _official(one.sandbox.queue_url, API_KEY)
        ours = _official(f"{one.base_url}/fal/queue", key)
        for number, (what, bar) in enumerate((("a submit", 60), ("a status", 30))):
            added = ours[number] - direct[number]
            note = f" ({ours[number]:.1f} here, {direct[number]:.1f} at the sandbox){_load()}"
            yield below(f"fal-client, {what} more than at the provider, p50, {name}", added, bar, "ms", note)
        measured, words = _submits(one, headers)
        yield Row(
            f"  submits, {CONNECTIONS} connections, while their jobs run, {name}", f"{measured:,.0f} jobs/s{words}"
        )
        # As POST /jobs is measured: with nothing else at work.
        one.kill("dispatcher 1")
        measured, words = _submits(one, headers)
        yield above(f"  submits, {CONNECTIONS} connections, {name}", measured, 100, "jobs/s", words)


def _submits(one: Fleet, headers: dict[str, str]) -> tuple[float, str]:
    """Jobs accepted a second, and how the answers were."""
    address, body = f"{one.base_url}/fal/queue/{MODEL}", b'{"prompt": "a fox"}'
    load.run(address, headers=headers, seconds=1, body=body)
    result = load.run(address, headers=headers, connections=CONNECTIONS, body=body)
    note = f", p50 {result.p50:.0f} ms, p99 {result.p99:.0f} ms, {result.failures} failed{_load()}"
    return result.per_second, note


def _official(queue_url: str, key: str) -> tuple[float, float]:
    """p50 of a submit and of a status in milliseconds, RATE of each a second."""
    # Its hosts are constants of the module, with https in them.
    module.QUEUE_URL_FORMAT = f"{queue_url}/"
    client = fal_client.SyncClient(key=key)
    client.submit(MODEL, FOX).status()
    handles: list[fal_client.SyncRequestHandle] = []
    submits = _paced(lambda: handles.append(client.submit(MODEL, FOX)))
    left = iter(handles)
    return submits, _paced(lambda: next(left).status(with_logs=True))


def _paced(call: Callable[[], object]) -> float:
    begun, took = time.perf_counter(), []
    for number in range(RATE * SECONDS):
        time.sleep(max(0.0, begun + number / RATE - time.perf_counter()))
        at = time.perf_counter()
        call()
        took.append(time.perf_counter() - at)
    return statistics.median(took) * 1000


if __name__ == "__main__":
    for row in measure(sys.argv[1:]):
        print(row.what, row.measured, row.bar, row.passed)
