"""Serving: the API under load, and the admin's largest page."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests.bench import load
from tests.bench.processes import manage, settings_for
from tests.bench.rows import Row, above, below
from tests.sandbox_server import ROOT, free_port

_ADMIN = """
import json, statistics, time
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from catalog import published
user = User.objects.filter(is_superuser=True).first() or User.objects.create_superuser("bench", password="x")
client = Client(headers={"host": "localhost"})
client.force_login(user)
times = []
for _ in range(15):
    started = time.perf_counter()
    with CaptureQueriesContext(connection) as queries:
        answer = client.get("/admin/catalog/aimodel/")
    times.append(time.perf_counter() - started)
    assert answer.status_code == 200
published.forget()
started = time.perf_counter()
published.current()
cold = time.perf_counter() - started
print(json.dumps({"ms": 1000 * statistics.median(times), "queries": len(queries), "cold_ms": 1000 * cold}))
"""


def measure(var: Path) -> Iterator[Row]:
    """Loads the web process of the filled bench installation."""
    settings = settings_for(var)
    admin = json.loads(
        manage(settings | {"LOG_LEVEL": "ERROR"}, "shell", "--no-imports", "-c", _ADMIN).output.strip().splitlines()[-1]
    )
    yield below("admin list of models, server time", admin["ms"], 150, "ms")
    yield Row("  its queries", str(admin["queries"]), "<= 10", admin["queries"] <= 10)
    yield below("catalog read from the database into memory", admin["cold_ms"], 200, "ms")
    key = json.loads(manage(settings, "create_client", "Bench", "--json").output)["api_key"]
    headers = {"Authorization": f"Bearer {key}"}
    with web(settings) as base:
        for what, path, bar in (
            ("GET /api/v1/models, default page", "/api/v1/models", 1500),
            ("GET /api/v1/models/fal, the full legacy list", "/api/v1/models/fal", None),
            ("GET /api/v1/models, filtered and sorted", "/api/v1/models?media_type=video&sort=-updated_at", None),
            ("GET one model with its schemas", "/api/v1/models/fal-ai/flux/dev", None),
            ("two bytes through all of Django, as what is not asked for again", "/healthz", None),
        ):
            load.run(base + path, headers=headers, seconds=1)
            result = load.run(base + path, headers=headers)
            kilobytes = result.bytes_each / 1024
            note = f", p50 {result.p50:.1f} ms, p99 {result.p99:.1f} ms, {kilobytes:.0f} KB, {result.failures} failed"
            if bar is None:
                yield Row(what, f"{result.per_second:,.0f} requests/s{note}")
                continue
            yield above(f"{what}, 16 connections", result.per_second, bar, "requests/s", note)
            yield below("  its p99", result.p99, 50, "ms")


def _answers(base: str) -> bool:
    try:
        return httpx.get(f"{base}/healthz", trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


@contextmanager
def web(settings: dict[str, str], serving: str = "") -> Iterator[str]:
    """The web process of an installation, as `up` starts it; its address. `serving`: another module than ours."""
    port = free_port()
    code = f"from genfeed.up import web_command; print(chr(10).join(web_command('127.0.0.1', {port})))"
    command = manage(settings, "shell", "--no-imports", "-c", code).output.strip().splitlines()
    if serving:
        command = [
            f"{serving}:application" if part.startswith("genfeed.") and ":" in part else part for part in command
        ]
    log_of = Path(settings["GENFEED_VAR_DIR"]) / f"web-{port}.log"
    with log_of.open("wb") as log:
        process = subprocess.Popen([sys.executable, *command[1:]], cwd=ROOT, env=settings, stdout=log, stderr=log)
    base = f"http://127.0.0.1:{port}"
    try:
        until = time.monotonic() + 30
        while not _answers(base):
            if process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"the web process did not start:\n{log_of.read_text()[-3000:]}")
            time.sleep(0.05)
        yield base
    finally:
        process.terminate()
        process.wait(20)
