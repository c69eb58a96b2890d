"""kill -9 before every single statement of every operation on money: the books are right, and doing it again works."""

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.sandbox_server import ROOT

# For each operation a child of the process runs it, and kills itself right before statement number 1, 2, 3 …, until one
# comes to its end. After every kill the ledger is proven, and the account is as it was or as the whole operation
# leaves it.
KILLS = """
import json, os, signal
import django
django.setup()
from django.db import connection
from genfeed.journal.audit import SYSTEM
from pricing.ledger import accounts, afterwards, checking
from pricing.models import Account, Budget
from tests.pricing.ledger.books import CENT, USD, balance, end, hold, make_client

checking.open_jobs = None
client = make_client(usd=10)
Budget.objects.create(client=client, period="day", limit=100 * USD)
debtor = make_client("debtor", usd=0, funding="postpaid", credit_line=10 * USD)
hold(debtor, "job_debt", 2 * USD)
end("job_debt", charge=2 * USD, cost=USD)
done = 0

def ready(job, charge=None):
    hold(client, job, USD)
    if charge is not None:
        end(job, charge=charge, cost=CENT)

operations = {
    "hold": (lambda job: None, lambda job: hold(client, job, USD)),
    "settle": (ready, lambda job: end(job, charge=CENT, cost=1)),
    "release": (ready, lambda job: end(job)),
    "refund": (lambda job: ready(job, CENT),
               lambda job: afterwards.refund(job, 1, actor=SYSTEM, reason="x", reference="r")),
    "correct": (lambda job: ready(job, CENT),
                lambda job: afterwards.correct(job, charge=2 * CENT, cost=CENT, reference="b", reason="bill")),
    "write off": (lambda job: ready(job, CENT),
                  lambda job: afterwards.write_off(job, 5, reference="w", reason="stray")),
    "top up": (lambda job: None,
               lambda job: accounts.top_up(client.pk, USD, actor=SYSTEM, reason="paid", reference=job)),
    "correct balance": (lambda job: None,
                        lambda job: accounts.correct_balance(client.pk, -1, actor=SYSTEM, reason="x", reference=job)),
    "set terms": (lambda job: None,
                  lambda job: accounts.set_terms(client.pk, actor=SYSTEM, low_balance=USD + len(job))),
    "forgive debt": (lambda job: None, lambda job: accounts.forgive_debt(debtor.pk, actor=SYSTEM, reason="x")),
}

def books():
    return [list(row) for row in Account.objects.order_by("pk").values_list("available", "held", "spent", "funded")]

report = {}
for name, (prepare, operate) in operations.items():
    job = "job_" + name.replace(" ", "_")
    prepare(job)
    before, kills, wrong, outcomes = books(), 0, [], []
    while True:
        connection.close()
        child = os.fork()
        if child == 0:
            left = [kills]
            def dying(execute, sql, params, many, context):
                if left[0] == 0:
                    os.kill(os.getpid(), signal.SIGKILL)
                left[0] -= 1
                return execute(sql, params, many, context)
            with connection.execute_wrapper(dying):
                operate(job)
            connection.close()
            os._exit(0)
        killed = os.waitpid(child, 0)[1] != 0
        wrong += [str(one) for one in checking.check_ledger()]
        outcomes.append(books() == before)
        if not killed:
            break
        kills += 1
    report[name] = {"kills": kills, "wrong": wrong, "untouched": outcomes[:-1].count(True), "moved": not outcomes[-1]}
print(json.dumps(report))
"""


def test_whatever_is_killed_at_whatever_statement_the_ledger_is_proven_and_nothing_is_half_done(
    migrated_sqlite: Path,
) -> None:
    settings = {
        "DJANGO_SETTINGS_MODULE": "tests.settings",
        "DATABASE_URL": f"sqlite:///{migrated_sqlite}",
        "PYTHONPATH": str(ROOT),
    }

    ran = subprocess.run(
        [sys.executable, "-c", KILLS], cwd=ROOT, env=os.environ | settings, capture_output=True, text=True, check=False
    )

    assert ran.returncode == 0, ran.stderr[-2000:]
    report = json.loads(ran.stdout)
    assert {name: one["wrong"] for name, one in report.items()} == {name: [] for name in report}
    # A killed operation left nothing behind, so that it could be done again, and then it was done.
    assert {name: one["untouched"] == one["kills"] > 0 for name, one in report.items()} == dict.fromkeys(report, True)
    without_money = {"write off", "set terms"}
    assert {name for name, one in report.items() if not one["moved"]} == without_money
