"""kill -9 before every transaction and commit of a batch: what was accepted is whole, its repetition does the rest."""

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.sandbox_server import ROOT

# For each mode a child of the process posts a batch, and kills itself right before transaction or commit number 1, 2,
# 3 …, until one comes to its end. What a kill within a transaction leaves is what one before it does: with EVERY_WRITE
# (`make kills`) that is tried too. After every kill the books are proven; then the same request comes again, with its
# key.
KILLS = """
import json, os, shutil, signal
from datetime import timedelta
from pathlib import Path
import django
django.setup()
from django.db import connection
from django.test import Client as HttpClient
from django.utils import timezone
from genfeed.clients.keys import create_key
from genfeed.clients.models import Client
from genfeed.journal.audit import SYSTEM
from genfeed.journal.models import OutboxEvent
from jobs.batches import accepting
from jobs.batches.models import Batch
from jobs.models import Job
from pricing.ledger.checking import check_ledger
from pricing.models import Budget
from tests.jobs.doubles import make_caller
from tests.pricing.estimates.sold import IMAGES_OUT, make_sold

from genfeed.clients import uses
from pricing.reports import refusals
EVERY_WRITE = os.environ.get("EVERY_WRITE")
# A child that is forked while a thread of ours writes would find SQLite locked for ever.
uses._start_timer = refusals._start_timer = lambda: None
make_sold(outputs=IMAGES_OUT)
caller = make_caller(usd=100_000, max_open_in_batches=1_000_000)
client = Client.objects.get()
Budget.objects.create(client=client, period="day", limit=10**15)
_, text = create_key(client, actor=SYSTEM, scopes=["jobs:write", "jobs:read"])
accepting.AT_ONCE = 2
items = [{"prompt": "a fox"}, {}, {"prompt": "an owl"}, {"prompt": "a cat"}]

# One for all: each would load the middleware anew.
http = HttpClient(headers={"Authorization": f"Bearer {text}"}, SERVER_NAME="127.0.0.1")

def post(mode, key):
    body = {"model": "fal-ai/flux/dev", "mode": mode,
            "items": [{"input": one} for one in items if one or mode == "best_effort"]}
    headers = {"Idempotency-Key": key}
    return http.post("/api/v1/batches", json.dumps(body), content_type="application/json", headers=headers)

def begin_anew():
    # Else the books to be proven would grow from kill to kill.
    connection.close()
    for rest in ("-wal", "-shm"):
        Path(file + rest).unlink(missing_ok=True)
    shutil.copy(file + ".warm", file)

post("best_effort", "warm")
connection.close()
file = connection.settings_dict["NAME"]
shutil.copy(file, file + ".warm")
report = {}
for mode in ("best_effort", "all_or_nothing"):
    kills, wrong, found, untouched, parts = 0, [], [], 0, 0
    while True:
        begin_anew()
        key, before = f"{mode} {kills}", Batch.objects.count()
        connection.close()
        child = os.fork()
        if child == 0:
            left = [kills]
            def die():
                if left[0] == 0:
                    os.kill(os.getpid(), signal.SIGKILL)
                left[0] -= 1
            def dying(execute, sql, params, many, context):
                if not sql.startswith("SELECT") if EVERY_WRITE else sql.startswith("BEGIN"):
                    die()
                return execute(sql, params, many, context)
            commit = connection.commit
            def dying_commit():
                die()
                commit()
            connection.commit = dying_commit
            with connection.execute_wrapper(dying):
                post(mode, key)
            connection.close()
            os._exit(0)
        killed = os.waitpid(child, 0)[1] != 0
        wrong += [str(one) for one in check_ledger()]
        untouched += Batch.objects.count() == before
        parts += Batch.objects.filter(closed_at=None).exists()
        Batch.objects.filter(closed_at=None).update(accepting_until=timezone.now() - timedelta(seconds=1))
        again = post(mode, key)
        wrong += [str(one) for one in check_ledger()]
        batch = Batch.objects.get(pk=again.json()["id"])
        found.append([
            again.status_code, Batch.objects.count() - before, batch.jobs.count(), batch.refusals.count(),
            OutboxEvent.objects.filter(kind="batch.created", subject=batch.pk).count(), batch.status,
        ])
        if not killed:
            break
        kills += 1
    report[mode] = {"kills": kills, "wrong": wrong, "found": found, "untouched": untouched, "parts": parts}
print(json.dumps(report))
"""


def test_whatever_is_killed_wherever_no_item_is_accepted_twice(migrated_sqlite: Path) -> None:
    settings = {
        "DJANGO_SETTINGS_MODULE": "tests.settings",
        "DATABASE_URL": f"sqlite:///{migrated_sqlite}",
        "PYTHONPATH": str(ROOT),
    }

    ran = subprocess.run(
        [sys.executable, "-c", KILLS], cwd=ROOT, env=os.environ | settings, capture_output=True, text=True, check=False
    )

    assert ran.returncode == 0, ran.stderr[-2000:]
    report = json.loads(ran.stdout.splitlines()[-1])
    assert {mode: one["wrong"] for mode, one in report.items()} == {mode: [] for mode in report}
    best, whole = report["best_effort"], report["all_or_nothing"]
    # One batch, its three jobs, its refused item, told once, whenever the first try was killed.
    assert best["found"] == [[201, 1, 3, 1, 1, "running"]] * (best["kills"] + 1)
    assert whole["found"] == [[201, 1, 3, 0, 1, "running"]] * (whole["kills"] + 1)
    # Some kills fell before anything was accepted, and some between the parts of the one that has parts.
    assert min(best["untouched"], best["parts"], whole["untouched"]) > 0
    assert whole["parts"] == 0
