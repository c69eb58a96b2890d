"""Discovery: how long a fresh and a second sync take over a connection with 50 ms to every answer."""

import re
import time
from collections.abc import Iterator
from pathlib import Path

from tests.bench.processes import manage, settings_for
from tests.bench.rows import Row, below
from tests.sandbox_server import running_sandbox

LATENCY_MS = 50


def measure(var: Path, source: Path | None) -> Iterator[Row]:
    """Fills the bench installation, and tells what that took."""
    with running_sandbox(catalog=source, latency_ms=LATENCY_MS) as sandbox:
        settings = settings_for(var, sandbox) | {"LOG_LEVEL": "WARNING"}
        var.mkdir(parents=True)
        manage(settings, "migrate", "-v", "0")
        started = time.perf_counter()
        fresh = manage(settings, "sync_models")
        wall = time.perf_counter() - started
        listed = int(_number(r"(\d+) models listed", fresh.output))
        yield below(
            f"fresh discovery of {listed:,} models", _seconds(fresh.output), 5, "s", f" ({wall:.1f} s as a command)"
        )
        yield below("  peak memory of the syncing process", fresh.peak_mb, 400, "MB")
        sandbox.clear_requests()
        again = manage(settings, "sync_models")
        calls = sandbox.requests()
        schema_calls = sum(call["path"] == "/v1/models" and "endpoint_id" in call["query"] for call in calls)
        note = f" ({len(calls)} calls, {schema_calls} of them for the rotating slice of schemas)"
        yield below("second sync with nothing new", _seconds(again.output), 2, "s", note)
        full = manage(settings, "sync_models", "--full")
        yield Row("full sync with nothing new", f"{_seconds(full.output):.2f} s")


def _seconds(output: str) -> float:
    return float(_number(r"\(([\d.]+) s\)", output))


def _number(pattern: str, output: str) -> str:
    found = re.search(pattern, output)
    assert found, output
    return found.group(1)
