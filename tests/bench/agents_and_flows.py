"""Workflows, test mode and agents: what each costs over the plain jobs that it is made of."""

import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from tests.bench.jobs import _load, _postgres, _sqlite
from tests.bench.rows import Row, below
from tests.fleet import Fleet, fleet

TIMES = 20
PATIENCE_SECONDS = 60
MODEL = "fal-ai/flux/dev"
FOX: dict[str, Any] = {"model": MODEL, "input": {"prompt": "a fox"}}
# Of the model in `tests.fleet` nothing more is known than a prompt, so steps only wait for one another.
CHAIN = [{**FOX, "name": f"step{number}", "depends_on": [f"step{number - 1}"] if number else []} for number in range(3)]
# As large as workflows may be: 200 steps, each after all of the layer before it, 500 jobs.
LARGE = [
    {
        **FOX,
        "name": f"step{number}",
        "quantity": 3 if number < 150 else 1,
        "depends_on": [f"step{one}" for one in range(number // 50 * 50 - 50, number // 50 * 50) if one >= 0],
    }
    for number in range(200)
]
_KEYS = """
from genfeed.clients.keys import create_key
from genfeed.clients.models import Client
from genfeed.journal.audit import SYSTEM
client = Client.objects.get(name="Load")
scopes = ["jobs:write", "jobs:read", "models:read", "estimates"]
print(*(create_key(client, actor=SYSTEM, scopes=scopes, is_test=one)[1] for one in (False, True)))
"""


def measure(only: Sequence[str] = ()) -> Iterator[Row]:
    """On both databases, each in an installation of its own; `only` names one of them."""
    for name, database in (("SQLite", _sqlite), ("PostgreSQL", _postgres)):
        if not only or name in only:
            with (
                database() as settings,
                tempfile.TemporaryDirectory(prefix="genfeed-bench-flows-", ignore_cleanup_errors=True) as folder,
                fleet(Path(folder) / "var", settings=settings | {"PUBLIC_URL": "here"}) as one,
            ):
                one.prepare()
                live, test = one.shell(_KEYS).splitlines()[-1].split()
                one.settings["TEST_SANDBOX_URL"] = one.sandbox.base_url
                one.sandbox.faults(processing_ms=100, billing_lag=0, concurrency=5_000)
                one.start_all()
                yield from _flows(name, one, live)
                yield from _tests(name, one, live, test)
                yield from _agents(name, one, live)


def _flows(name: str, one: Fleet, key: str) -> Iterator[Row]:
    with _http(one, key) as http:
        http.post("/workflows", json={"steps": CHAIN})
        before = one.cpu_seconds()["web"]
        seconds = _took(lambda: _sent(http, "/workflows", {"steps": CHAIN}))
        used = 1000 * (one.cpu_seconds()["web"] - before) / TIMES
        note = f", {used:.1f} ms of a core{_load()}"
        yield below(f"workflow of 3 steps accepted, p50, {name}", 1000 * seconds, 250, "ms", note)
        _ended(http)
        before = one.cpu_seconds()["dispatcher 1"]
        took = statistics.median(_to_its_end(http) for _ in range(5))
        used = 1000 * (one.cpu_seconds()["dispatcher 1"] - before) / 5
        note = f" (a step takes 0.1 s; {used:.0f} ms of the dispatcher's core in all){_load()}"
        yield below("  its 3 steps one after another to the end, p50 of 5", took, 3, "s", note)
        began = time.monotonic()
        large = _sent(http, "/workflows", {"steps": LARGE})
        note = f", {sum(large['counts'].values())} jobs{_load()}"
        yield below("  of 200 steps accepted", time.monotonic() - began, 5, "s", note)
        began = time.monotonic()
        canceled = http.post(f"/workflows/{large['id']}/cancel").json()
        yield below("  its cancel", time.monotonic() - began, 5, "s", f", {canceled['status']} by then")
        _ended(http)


def _tests(name: str, one: Fleet, live: str, test: str) -> Iterator[Row]:
    """A test key asks no more of this installation than a live one."""
    took = {}
    for key in (live, test):
        with _http(one, key) as http:
            took[key] = _took(lambda: _sent(http, "/jobs", FOX))
    note = f" ({1000 * took[test]:.1f} with a test key, {1000 * took[live]:.1f} with a live one){_load()}"
    yield below(f"POST /jobs in test mode over live, p50, {name}", 1000 * (took[test] - took[live]), 20, "ms", note)


def _agents(name: str, one: Fleet, key: str) -> Iterator[Row]:
    """A tool by the official client over the same call of the API."""
    with _http(one, key) as http:
        plain = _took(lambda: _sent(http, "/estimates", FOX, 200))
    tool = asyncio.run(_with_agent(one, key, lambda agent: agent.call_tool("estimate", FOX)))
    note = f" ({1000 * tool:.1f} by the tool, {1000 * plain:.1f} by POST /estimates){_load()}"
    yield below(f"MCP, a tool over the API that it asks, p50, {name}", 1000 * (tool - plain), 60, "ms", note)


async def _with_agent(one: Fleet, key: str, call: Callable[[Client], Awaitable[Any]]) -> float:
    headers = {"Authorization": f"Bearer {key}"}
    async with (
        httpx2.AsyncClient(headers=headers, timeout=PATIENCE_SECONDS, trust_env=False) as http,
        Client(streamable_http_client(f"{one.base_url}/mcp", http_client=http)) as agent,
    ):
        took = []
        for _ in range(TIMES + 1):
            began = time.monotonic()
            answer = await asyncio.wait_for(call(agent), PATIENCE_SECONDS)
            assert not answer.is_error, answer
            took.append(time.monotonic() - began)
        # The first loads the package.
        return statistics.median(took[1:])


def _http(one: Fleet, key: str) -> httpx.Client:
    headers = {"Authorization": f"Bearer {key}"}
    return httpx.Client(base_url=f"{one.base_url}/api/v1", headers=headers, timeout=PATIENCE_SECONDS, trust_env=False)


def _sent(http: httpx.Client, path: str, body: Any, status: int = 201) -> Any:
    answer = http.post(path, json=body)
    assert answer.status_code == status, answer.text[:500]
    return answer.json()


def _took(call: Callable[[], object]) -> float:
    """The median of TIMES calls, in seconds."""
    took = []
    for _ in range(TIMES):
        began = time.monotonic()
        call()
        took.append(time.monotonic() - began)
    return statistics.median(took)


def _to_its_end(http: httpx.Client) -> float:
    """Seconds from the request to what the workflow says of its end."""
    began = time.monotonic()
    made = _sent(http, "/workflows", {"steps": CHAIN})
    until = began + PATIENCE_SECONDS
    while http.get(f"/workflows/{made['id']}").json()["status"] == "running":
        assert time.monotonic() < until, made["id"]
        time.sleep(0.02)
    return time.monotonic() - began


def _ended(http: httpx.Client) -> None:
    """Waits until no workflow is at work any more."""
    until = time.monotonic() + PATIENCE_SECONDS
    while any(http.get(f"/workflows?status={one}").json()["items"] for one in ("running", "canceling")):
        assert time.monotonic() < until, "workflows do not end"
        time.sleep(0.1)


if __name__ == "__main__":
    for row in measure(sys.argv[1:]):
        print(row.what, row.measured, row.bar, row.passed, flush=True)
