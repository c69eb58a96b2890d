"""`make bench`: every measurement of the project in one run, as a table."""

import os
import platform
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.bench import (
    assets,
    batches,
    catalog,
    deliveries,
    estimates,
    export,
    jobs,
    ledger,
    margins,
    prices,
    protocols,
    reports,
    sandbox,
    serving,
    streams,
)
from tests.sandbox_server import RECORDINGS


def main() -> int:
    recorded = RECORDINGS / "catalog-2026-06.jsonl.gz"
    source = recorded if recorded.exists() else None
    with tempfile.TemporaryDirectory(prefix="genfeed-bench-") as folder:
        var = Path(folder) / "var"
        rows = [*catalog.measure(var, source), *prices.measure(var, source), *serving.measure(var)]
        rows += [
            *estimates.measure(var, source),
            *margins.measure(var),
            *export.measure(var),
            *sandbox.measure(),
            *ledger.measure(),
            *reports.measure(100_000),
            *jobs.measure(),
            *batches.measure(),
            *deliveries.measure(),
            *assets.measure(),
            *streams.measure(),
            *protocols.measure(),
        ]
    table = Table(title=f"GenFeed on {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    for name in ("what", "measured", "bar", ""):
        table.add_column(name)
    for row in rows:
        table.add_row(row.what, row.measured, row.bar, "" if row.passed is None else "ok" if row.passed else "MISSED")
    console = Console(width=140)
    console.print(table)
    console.print(f"Catalog: {'recorded, June 2026' if source else 'the sandbox’s own (../shared is missing)'}.")
    return int(any(row.passed is False for row in rows))


if __name__ == "__main__":
    sys.exit(main())
