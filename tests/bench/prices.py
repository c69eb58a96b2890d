"""Prices: how long a first and a later price sync take over 50 ms to every answer, and reading all price texts."""

import re
from collections.abc import Iterator
from pathlib import Path

from tests.bench.processes import manage, settings_for
from tests.bench.rows import Row, below
from tests.sandbox_server import running_sandbox

LATENCY_MS = 50

_FORGET = """
from pricing.models import ModelPricing, PricePoint, PriceRule
PriceRule.objects.all().delete()
PricePoint.objects.all().delete()
ModelPricing.objects.all().delete()
"""
_READ_TEXTS = """
import time
from catalog.models import AIModel
from pricing.rules import reading as rule_reading
keys = list(AIModel.objects.values_list("pk", flat=True))
rule_reading.READER += 1
started = time.perf_counter()
readings = rule_reading.prepare(rule_reading.sources(keys))
print(f"{time.perf_counter() - started:.3f} {len(readings)}")
"""


def measure(var: Path, source: Path | None) -> Iterator[Row]:
    """Prices the bench installation, whose catalog is known, anew and again."""
    with running_sandbox(catalog=source, latency_ms=LATENCY_MS) as sandbox:
        settings = settings_for(var, sandbox) | {"LOG_LEVEL": "WARNING"}
        manage(settings, "shell", "--no-imports", "-c", _FORGET)
        sandbox.clear_requests()
        first = manage(settings, "sync_prices")
        prices = int(_found(r"(\d+) prices", first.output))
        note = f" ({len(sandbox.requests()):,} calls)"
        yield below(f"first price sync, {prices:,} prices, 8 calls at a time", _seconds(first.output), 15, "s", note)
        yield Row("  peak memory of the process", f"{first.peak_mb:.0f} MB")
        sandbox.clear_requests()
        later = manage(settings, "sync_prices")
        yield below("later price sync", _seconds(later.output), 2, "s", f" ({len(sandbox.requests())} calls)")
        done = manage(settings, "shell", "--no-imports", "-c", _READ_TEXTS).output.split()
        yield below("reading all price texts into rules", float(done[-2]), 5, "s", f" ({done[-1]} readings)")


def _seconds(output: str) -> float:
    return float(_found(r"\(([\d.]+) s\)", output))


def _found(pattern: str, output: str) -> str:
    found = re.search(pattern, output)
    assert found, output
    return found.group(1)
