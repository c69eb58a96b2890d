"""Estimates: one a request under load, and the largest requests that are allowed."""

import json
import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx

from tests.bench import load
from tests.bench.processes import manage, settings_for
from tests.bench.rows import Row, above, below
from tests.bench.serving import web
from tests.sandbox_server import running_sandbox

# Inputs that the models themselves take: a hundred different ones, spread over the offered catalog.
_QUESTIONS = """
import json
from catalog import published
from catalog.schemas.examples import example_input
from pricing.estimates.facts import facts_of_many
offered = [entry for entry in published.current().entries if entry.enabled]
chosen = offered[:: max(1, len(offered) // 100)][:100]
facts = facts_of_many(entry.pk for entry in chosen)
print(json.dumps([
    {"model": f"{entry.provider}:{entry.id}", "input": example_input(facts[entry.pk].inputs)} for entry in chosen
]))
"""
_ONE = {"model": "fal-ai/flux/dev", "input": {"prompt": "a lighthouse at dusk", "num_images": 2}}


def measure(var: Path, source: Path | None) -> Iterator[Row]:
    """Prices the filled bench installation, and asks it."""
    with running_sandbox(catalog=source) as sandbox:
        manage(settings_for(var, sandbox) | {"LOG_LEVEL": "WARNING"}, "sync_prices")
    settings = settings_for(var)
    quiet = settings | {"LOG_LEVEL": "ERROR"}
    questions = json.loads(manage(quiet, "shell", "--no-imports", "-c", _QUESTIONS).output.strip().splitlines()[-1])
    made = manage(settings, "create_client", "Estimates bench", "--scopes", "estimates", "--json").output
    headers = {"Authorization": f"Bearer {json.loads(made)['api_key']}"}
    with web(settings) as base:
        address = f"{base}/api/v1/estimates"
        body = json.dumps(_ONE).encode()
        load.run(address, headers=headers, seconds=1, body=body)
        result = load.run(address, headers=headers, body=body)
        note = f", p50 {result.p50:.1f} ms, p99 {result.p99:.1f} ms, {result.failures} failed"
        yield above("POST one estimate, 16 connections", result.per_second, 400, "requests/s", note)
        with httpx.Client(headers=headers, timeout=60, trust_env=False) as http:
            first = _milliseconds(http, address, {"items": questions})
            yield Row("POST 100 estimates of 100 models, the first time in a process", f"{first:.0f} ms")
            cold = statistics.median(_after_a_revision(http, address, quiet, {"items": questions}) for _ in range(3))
            yield below("POST 100 estimates of 100 models, the first time after a new revision", cold, 60, "ms")
            yield below("POST 100 estimates of 100 models", _usual(http, address, {"items": questions}), 60, "ms")
            steps = [{"name": f"s{number}", **_ONE, "quantity": number + 1} for number in range(200)]
            workflow = _usual(http, f"{base}/api/v1/workflows/estimate", {"steps": steps})
            yield Row("POST the estimate of a workflow of 200 steps", f"{workflow:.0f} ms")
            needs = {"media_type": "image", "quality": "production"}
            choice = _usual(http, f"{base}/api/v1/models/select", needs)
            yield Row("POST the choice among all image models", f"{choice:.0f} ms")


def _after_a_revision(http: httpx.Client, address: str, settings: dict[str, str], body: dict[str, Any]) -> float:
    """The first batch after a new revision, which other requests have brought into the process before."""
    manage(settings, "shell", "--no-imports", "-c", "from catalog.revisions import publish; publish('bench')")
    time.sleep(1.5)
    for _ in range(20):
        _milliseconds(http, address, _ONE)
    return _milliseconds(http, address, body)


def _usual(http: httpx.Client, address: str, body: dict[str, Any]) -> float:
    _milliseconds(http, address, body)
    return statistics.median(_milliseconds(http, address, body) for _ in range(15))


def _milliseconds(http: httpx.Client, address: str, body: dict[str, Any]) -> float:
    started = time.perf_counter()
    answer = http.post(address, json=body)
    took = 1000 * (time.perf_counter() - started)
    assert answer.status_code == 200, answer.text[:500]
    return took
