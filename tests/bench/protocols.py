"""Software of others against GenFeed: what it costs over the provider itself, and what the playground's page waits for.

`python -m tests.bench.protocols`, with the names of databases and parts to measure these alone.
"""

import json
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence

import fal_client
from fal_client import client as module
from openai import OpenAI

from tests.bench import load
from tests.bench.jobs import _load, _postgres, _running, _sqlite
from tests.bench.rows import Row, above, below
from tests.fleet import Fleet
from tests.sandbox_server import API_KEY

MODEL = "fal-ai/flux/dev"
FOX = {"prompt": "a fox"}
RATE, SECONDS = 10, 8
CONNECTIONS = 16
IMAGES = 20
PARTS = ("fal", "openai", "playground")
_ESTIMATING = """
from genfeed.clients.keys import create_key
from genfeed.clients.models import Client
from genfeed.journal.audit import SYSTEM
print(create_key(Client.objects.get(name="Load"), actor=SYSTEM, scopes=["estimates"])[1])
"""


def measure(only: Sequence[str] = ()) -> Iterator[Row]:
    """Each part on each database; `only` names some of both."""
    measured = {"fal": _fal, "openai": _openai, "playground": _playground}
    parts = [part for part in PARTS if part in only] or PARTS
    for name, database in (("SQLite", _sqlite), ("PostgreSQL", _postgres)):
        if name in only or not {"SQLite", "PostgreSQL"} & set(only):
            for part in parts:
                # Each an installation of its own.
                with database() as settings:
                    yield from measured[part](name, settings)


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


def _openai(name: str, settings: dict[str, str]) -> Iterator[Row]:
    """An image by OpenAI's client, from the request to its address, beside the same by a direct run at the provider."""
    with _running(settings | {"PUBLIC_URL": "here"}, processing_ms=50) as (one, headers):
        client = OpenAI(base_url=f"{one.base_url}/v1", api_key=headers["Authorization"].split()[1], max_retries=0)
        ours = _each(lambda: client.images.generate(model=MODEL, prompt="a fox", response_format="url"))
        module.RUN_URL_FORMAT = f"{one.sandbox.run_url}/"
        provider = fal_client.SyncClient(key=API_KEY)
        direct = _each(lambda: provider.run(MODEL, FOX))
        note = f" ({ours:.0f} here, {direct:.0f} at the sandbox){_load()}"
        yield Row(
            f"openai, an image more than by a direct run at the provider, p50, {name}", f"{ours - direct:.0f} ms{note}"
        )
        address = f"{one.base_url}/v1/images/generations"
        body = json.dumps({"model": MODEL, "prompt": "a fox", "response_format": "url"}).encode()
        result = load.run(address, headers=headers, connections=CONNECTIONS, body=body)
        note = f", p50 {result.p50:.0f} ms, p99 {result.p99:.0f} ms, {result.failures} failed{_load()}"
        yield Row(
            f"  images made and answered, {CONNECTIONS} connections, {name}", f"{result.per_second:,.0f} /s{note}"
        )


def _playground(name: str, settings: dict[str, str]) -> Iterator[Row]:
    """The price that follows what is typed: one page that asks again as soon as it was answered, and sixteen."""
    with _running(settings, dispatch=False) as (one, _):
        headers = {"Authorization": f"Bearer {one.shell(_ESTIMATING).splitlines()[-1]}"}
        address, body = f"{one.base_url}/api/v1/estimates", json.dumps({"model": MODEL, "input": FOX}).encode()
        load.run(address, headers=headers, seconds=1, body=body)
        alone = load.run(address, headers=headers, connections=1, seconds=3, body=body)
        many = load.run(address, headers=headers, connections=CONNECTIONS, seconds=3, body=body)
        note = f", p99 {alone.p99:.0f} ms; {many.per_second:,.0f} /s at {CONNECTIONS} connections{_load()}"
        yield below(f"playground, an estimate, p50, {name}", alone.p50, 25, "ms", note)


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


def _each(call: Callable[[], object]) -> float:
    """p50 of calls one after the other, in milliseconds, after two that count for nothing."""
    took = []
    for _ in range(IMAGES + 2):
        at = time.perf_counter()
        call()
        took.append(time.perf_counter() - at)
    return statistics.median(took[2:]) * 1000


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
