"""Jobs against LiteLLM's image calls, all in one run: accepted, and from acceptance to settlement."""

import json
import statistics
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

from tests.bench import jobs, litellm_proxy, load
from tests.bench.rows import Row, ratio
from tests.bench.turns import NOT_INSTALLED, PEER, SECONDS, in_turns, rate, told
from tests.sandbox_server import running_sandbox

CALL = json.dumps({"model": litellm_proxy.MODEL, "prompt": "a lighthouse at dusk", "n": 1}).encode()
JOB = json.dumps(jobs._BODY).encode()


def measure(folder: Path) -> Iterator[Row]:
    """Needs `make peer`; without it there is one row that says so."""
    if not (version := litellm_proxy.version()):
        yield NOT_INSTALLED
        return
    with litellm_proxy.stub() as provider, litellm_proxy.litellm(folder.parent / "peer", provider) as peer:
        address = f"{peer}/v1/images/generations"
        yield from _calls(address, version)
        at_the_sandbox = yield from _at_the_sandbox(folder.parent / "peer-at-sandbox")
        yield from _whole(address, at_the_sandbox)


def _calls(theirs: str, version: str) -> Iterator[Row]:
    """Single calls: ours on both databases with nothing else at work, theirs in between."""
    for name, database in (("SQLite", jobs._sqlite), ("PostgreSQL", jobs._postgres)):
        with database() as settings, jobs._running(settings, dispatch=False) as (one, headers):
            address = f"{one.base_url}/api/v1/jobs"
            load.run(address, headers=headers, seconds=1, body=JOB, expected=201)
            found = in_turns(
                peer=lambda: load.run(theirs, headers=PEER, seconds=SECONDS, body=CALL),
                ours=lambda: load.run(address, headers=headers, seconds=SECONDS, body=JOB, expected=201),  # noqa: B023
            )
        yield Row(f"LiteLLM {version}, image call at a provider that answers at once", told(found["peer"]))
        yield Row(f"POST /jobs, {name}", told(found["ours"]))
        ours, peer = rate(found["ours"]), rate(found["peer"])
        yield ratio(f"POST /jobs against LiteLLM’s image call, {name}", ours, peer, 2, "a second", jobs._load())


def _at_the_sandbox(folder: Path) -> Generator[Row, None, float]:
    """The peer's call where the provider is the sandbox, which takes as long as for ours; the better of two rates."""
    with running_sandbox() as sandbox:
        sandbox.faults(processing_ms=100, billing_lag=0, concurrency=5_000)
        with litellm_proxy.litellm(folder, sandbox.run_url) as peer:
            address = f"{peer}/v1/images/generations"
            found = [load.run(address, headers=PEER, seconds=SECONDS, body=CALL, connections=n) for n in (16, 64)]
    for connections, one in zip((16, 64), found, strict=True):
        yield Row(f"LiteLLM’s image call at the sandbox (100 ms), {connections} connections", told([one]))
    return max(one.per_second for one in found)


def _whole(theirs: str, at_the_sandbox: float) -> Iterator[Row]:
    """From the first POST to the last settlement, as `jobs` measures it, the sandbox and its files included.

    Each time on a new database, and the peer's calls at the provider that answers at once before and after.
    """
    for name, database in (("SQLite", jobs._sqlite), ("PostgreSQL", jobs._postgres)):
        found = in_turns(
            peer=lambda: load.run(theirs, headers=PEER, seconds=SECONDS, body=CALL),
            ours=lambda: _settled(name, database),  # noqa: B023
        )
        ours, calls = statistics.mean(row.values["jobs/s"] for row in found["ours"]), rate(found["peer"])
        for where, peer in (("at a provider that answers at once", calls), ("at the same sandbox", at_the_sandbox)):
            what = f"accepted to settled against LiteLLM’s image call {where}, {name}"
            yield ratio(what, ours, peer, 1, "a second", jobs._load())
        yield Row("  the peer’s calls before and after", told(found["peer"]))
        for row in found["ours"]:
            yield Row("  ours in full", row.measured)


def _settled(name: str, database: Callable[[], AbstractContextManager[dict[str, str]]]) -> Row:
    with database() as settings:
        return next(jobs._sustained(name, settings))
