"""Reports above a year of jobs: rolling up, and the server's time of every report page, on both databases."""

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.bench.ledger import postgres
from tests.bench.processes import manage, settings_for
from tests.bench.rows import Row, below

JOBS = 1_000_000
_INCREMENT = """
import json, time
from pricing.reports.rollups import roll_up
started = time.perf_counter()
days = roll_up()
print(json.dumps({"seconds": time.perf_counter() - started, "days": days}))
"""
_PAGES = """
import json, time
from django.contrib.auth.models import User
from django.test import Client
client = Client(SERVER_NAME="localhost")
client.force_login(User.objects.create_superuser("bench", password="x"))
report = "/admin/pricing/usagerecord/profitability/"
pages = {
    "profitability, 30 days by model": report,
    "  90 days by model": report + "?period=90",
    "  12 months by model": report + "?period=months",
    "  12 months by client": report + "?period=months&by=client",
    "  30 days by category": report + "?by=category",
    "  30 days of one category by model": report + "?category=training",
    "  30 days of the largest client by model": report + "?client=1",
    "usage records of 30 days": "/admin/pricing/usagerecord/?from=2026-01-01",
    "recommendations": "/admin/pricing/recommendation/",
}
found = {}
for name, url in pages.items():
    times = []
    for _ in range(5):
        started = time.perf_counter()
        assert client.get(url).status_code == 200, url
        times.append(1000 * (time.perf_counter() - started))
    found[name] = sorted(times)[2]
print(json.dumps(found))
"""
_RECOMMEND = """
import json, time
from pricing.reports.recommendations import recommend
started = time.perf_counter()
found = recommend()
print(json.dumps({"seconds": time.perf_counter() - started, "found": found}))
"""


def measure(jobs: int = JOBS) -> Iterator[Row]:
    """Measures both databases, each in an installation of its own; the jobs are made up, their rows are real."""
    with tempfile.TemporaryDirectory(prefix="genfeed-bench-reports-") as folder:
        settings = settings_for(Path(folder) / "var") | {"LOG_LEVEL": "ERROR"}
        yield from _measure("SQLite", settings, jobs)
        with postgres() as url:
            yield from _measure("PostgreSQL", settings | {"DATABASE_URL": url}, jobs)


def _measure(name: str, settings: dict[str, str], jobs: int) -> Iterator[Row]:
    manage(settings, "migrate", "--verbosity", "0")
    _run(settings, f"from tests.bench.past_year import main; main({jobs}); print('{{}}')")
    text = manage(settings, "rebuild_rollups").output
    seconds = float(text.rsplit(" in ", 1)[1].split()[0])
    yield below(f"rebuild of rollups, {jobs:,} jobs over 365 days, {name}", seconds, 180, "s")
    found = _run(settings, _INCREMENT)
    yield below(f"  increment, {name}", found["seconds"], 10, "s", f" ({found['days']} days made anew)")
    found = _run(settings, _RECOMMEND)
    yield below(f"  recommendations, {name}", found["seconds"], 10, "s", f" ({found['found']} found)")
    for page, milliseconds in _run(settings, _PAGES).items():
        yield below(f"{page}, {name}", milliseconds, 300, "ms")


def _run(settings: dict[str, str], code: str) -> dict[str, float]:
    return json.loads(manage(settings, "shell", "--no-imports", "-c", code).output.strip().splitlines()[-1])


if __name__ == "__main__":
    import sys

    for row in measure(int(sys.argv[1]) if len(sys.argv) > 1 else JOBS):
        print(row, flush=True)
