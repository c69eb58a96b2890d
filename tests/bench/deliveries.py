"""Webhooks: 5,000 to a receiver that takes all, and to one that fails a third of the time while senders are killed.

`python -m tests.bench.deliveries [SQLite|PostgreSQL] [plain|failing]` measures this part alone.
"""

import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests import deliveries
from tests.bench.ledger import postgres
from tests.bench.rows import Row, above, below

ENDPOINTS, EVENTS = 20, 250
KILLS = 4


def measure(only: Sequence[str] = ()) -> Iterator[Row]:
    """Each run in an installation of its own, on both databases; `only` names some of them."""
    for name in ("SQLite", "PostgreSQL"):
        for part in (_plain, _failing):
            if {*only} <= {name, part.__name__[1:]}:
                with _folder() as folder, _database(name) as database:
                    yield from part(name, folder, database)


def _plain(name: str, folder: Path, database: dict[str, str]) -> Iterator[Row]:
    """What one sender can do, without order, where nothing fails."""
    found = deliveries.run(
        folder, events=EVENTS, endpoints=ENDPOINTS, ordered=0, senders=1, fails=False, database=database
    )
    note = f", {found.cpu_ms:.1f} ms of a core each, {len(found.problems)} problems{_load()}"
    yield above(f"{found.deliveries} webhooks, one sender, {name}", found.rate, 50, "deliveries/s", note)
    yield below("  memory of the sender", found.memory_mb, 200, "MB")


def _failing(name: str, folder: Path, database: dict[str, str]) -> Iterator[Row]:
    """Half of the endpoints ordered, two senders, each killed twice."""
    found = deliveries.run(
        folder, events=EVENTS, endpoints=ENDPOINTS, ordered=ENDPOINTS // 2, kills=KILLS, database=database
    )
    share = 100 * found.failed_attempts / max(1, found.attempts)
    note = (
        f" of {found.deliveries} webhooks ({found.attempts} attempts, {share:.0f} % of them failed, {found.kills} "
        f"kills, {found.repeated} repeated for a killed sender, {found.seconds:.0f} s, {found.rate:.0f} deliveries/s, "
        f"{found.cpu_ms:.1f} ms of a core an attempt, {found.memory_mb:.0f} MB{_load()})"
    )
    yield below(f"lost, doubled or out of order, {name}", len(found.problems), 1, "", note)


@contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="genfeed-bench-webhooks-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


@contextmanager
def _database(name: str) -> Iterator[dict[str, str]]:
    if name == "SQLite":
        yield {}
        return
    with postgres() as url:
        yield {"DATABASE_URL": url}


def _load() -> str:
    return f", load {os.getloadavg()[0]:.1f}"


if __name__ == "__main__":
    for row in measure(sys.argv[1:]):
        print(f"{row.what:60} {row.measured} (bar: {row.bar}, {'ok' if row.passed else 'MISSED'})", flush=True)
