"""The catalog for other installations: how large it is, what making and taking it costs, what a look for news costs."""

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path

import httpx

from tests.bench.processes import manage, settings_for
from tests.bench.rows import Row, below
from tests.bench.serving import web

LOOKS = 300


def measure(var: Path) -> Iterator[Row]:
    """Exports the bench installation, which `catalog` and `prices` have filled, and takes that in elsewhere."""
    settings = settings_for(var) | {"LOG_LEVEL": "WARNING", "PRICES_ARE_LIST_PRICES": "true"}
    file = var.parent / "export"
    started = time.perf_counter()
    manage(settings, "export_catalog", str(file))
    yield Row("export of the whole catalog made", f"{time.perf_counter() - started:.1f} s as a command")
    yield below("  its size", file.stat().st_size / 2**20, 3, "MB")
    other = settings_for(var.parent / "core") | {"LOG_LEVEL": "WARNING", "GENFEED_MODE": "core"}
    manage(other, "migrate", "-v", "0")
    taken = manage(other, "import_catalog", str(file))
    found = re.search(r"\(([\d.]+) s\)", taken.output)
    assert found, taken.output
    yield below("import of the whole catalog", float(found[1]), 5, "s")
    yield from _looks(settings)


def _looks(settings: dict[str, str]) -> Iterator[Row]:
    key = json.loads(manage(settings, "create_client", "Core", "--json").output)["api_key"]
    headers = {"Authorization": f"Bearer {key}"}
    with web(settings) as base, httpx.Client(headers=headers, timeout=60, trust_env=False) as client:
        url = f"{base}/api/v1/catalog/export"
        whole = client.get(url).raise_for_status()
        started = time.perf_counter()
        for _ in range(LOOKS):
            assert client.get(url, headers={"If-None-Match": whole.headers["ETag"]}).status_code == 304
        yield Row("  a look that finds nothing new", f"{(time.perf_counter() - started) / LOOKS * 1000:.1f} ms")
        started = time.perf_counter()
        for _ in range(20):
            client.get(url).raise_for_status()
        yield Row("  the whole export served", f"{(time.perf_counter() - started) / 20 * 1000:.1f} ms")
