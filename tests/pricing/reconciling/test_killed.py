"""kill -9 in the middle of a reconciliation: the next one ends as if nothing had happened."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.sandbox_server import ROOT

# Books three corrections, and dies before, inside of, or after the second one; argument: where.
DIES = """
import os, signal, sys
import django
django.setup()
from catalog.providers import base
from pricing.models import Bill
from pricing.reconciling import matching, runs
from pricing.reconciling.reconcile import reconcile
from tests.pricing.ledger.books import make_client
from tests.pricing.reconciling.bills import Bills, booked, line, settled
from pricing.models import ReconciliationRun
from pricing.ledger.checking import check_ledger
from django.utils import timezone
from datetime import timedelta

bills = Bills()
base.register("fal", "fal.ai", lambda: bills)
at = timezone.now() - timedelta(minutes=5)
bills.lines = [line(f"job_{n}", units=15, at=at + timedelta(seconds=n)) for n in range(3)]
die = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)
where = sys.argv[1]
if where == "again":
    ReconciliationRun.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    bills.lines = [line(f"job_{n}", units=15, at=Bill.objects.get(request_id=f"req_job_{n}").at) for n in range(3)]
    run = reconcile("fal")
    print(run.status, [tuple(map(int, booked(f"job_{n}"))) for n in range(3)], check_ledger())
else:
    client = make_client(usd=100)
    for n in range(3):
        settled(client, f"job_{n}")
    seen = []
    if where == "in the correction":
        real = matching.correct
        matching.correct = lambda *a, **m: (seen.append(1), real(*a, **m), die() if len(seen) == 2 else None)[1]
    elif where == "after the pages":
        matching.match_open = die
        import pricing.reconciling.reconcile as module
        module.match_open = die
    else:
        runs.succeed = die
    reconcile("fal")
"""


@pytest.mark.parametrize("where", ["after the pages", "in the correction", "before the watermark"])
def test_a_killed_reconciliation_is_made_up_for_by_the_next(where: str, migrated_sqlite: Path) -> None:
    settings = {
        "DJANGO_SETTINGS_MODULE": "tests.settings",
        "DATABASE_URL": f"sqlite:///{migrated_sqlite}",
        "PYTHONPATH": str(ROOT),
    }

    def run(asked: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", DIES, asked]
        return subprocess.run(command, cwd=ROOT, env=os.environ | settings, capture_output=True, text=True, check=False)

    killed = run(where)
    assert killed.returncode == -signal.SIGKILL, killed.stderr

    after = run("again")
    assert after.stdout.strip() == "succeeded [(15, 30), (15, 30), (15, 30)] []", after.stderr
