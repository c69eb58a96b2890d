"""kill -9 before every transaction and commit of a workflow: no step runs twice, none is lost, its end is told once."""

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.sandbox_server import ROOT

PATIENCE_SECONDS = 300

# A workflow is accepted, brought forward and brought to its end by a child that kills itself right before transaction
# or commit number 1, 2, 3 …, until one comes to its end; and one that is canceled, from its cancel on. What a kill
# within a transaction leaves is what one before it does: with EVERY_WRITE (`make kills`) that is tried too. After every
# kill the lease is let run out, and the same is done again without one; then there must be what there is without any.
KILLS = """
import faulthandler, json, os, signal, sys
from datetime import timedelta
import django
django.setup()
from django.db import connection
from django.test import Client as HttpClient
from django.utils import timezone
from genfeed.clients import uses
from genfeed.clients.keys import create_key
from genfeed.clients.models import Client
from genfeed.journal.audit import SYSTEM
from genfeed.journal.models import OutboxEvent
from jobs.models import OPEN, Job, WorkflowRun, WorkflowStep
from jobs.workflows.advancing import advance
from jobs.workflows.canceling import cancel_workflow
from pricing.ledger.checking import check_ledger
from pricing.reports import refusals
from tests.jobs.doubles import make_caller
from tests.jobs.workflows.flows import FILM, PICTURE, make_models, lose, succeed

EVERY_WRITE = os.environ.get("EVERY_WRITE")
# A child that is forked while a thread of ours writes would find SQLite locked for ever.
uses._start_timer = refusals._start_timer = lambda: None
make_models()
make_caller(usd=100_000, max_queued=1_000_000)
_, text = create_key(Client.objects.get(), actor=SYSTEM, scopes=["jobs:write", "jobs:read"])
NEVER = {**PICTURE, "name": "never", "depends_on": ["other"]}
STEPS = [PICTURE, {**PICTURE, "name": "other"}, FILM, NEVER]

# One for all: each would load the middleware anew.
http = HttpClient(headers={"Authorization": f"Bearer {text}"}, SERVER_NAME="127.0.0.1")

def post(key):
    headers = {"Idempotency-Key": key}
    body = json.dumps({"steps": STEPS})
    answer = http.post("/api/v1/workflows", body, content_type="application/json", headers=headers)
    assert answer.status_code == 201, answer.content
    return answer.json()["id"]

def work(key, upto, armed=None):
    def arm(on):
        if armed:
            armed[0] = on
    arm(upto == "end")
    run = WorkflowRun.objects.get(pk=post(key))
    for stage in ("start", "next", "end"):
        # The ends of jobs are killed elsewhere.
        arm(False)
        if stage == "next":
            firsts = Job.objects.filter(workflow=run, status__in=OPEN, workflow_step__name__in=["picture", "other"])
            for job in firsts:
                (lose if job.workflow_step.name == "other" else succeed)(job)
        if stage == "end" and upto == "end":
            for job in Job.objects.filter(workflow=run, status__in=OPEN):
                succeed(job)
        if stage == "end" and upto == "cancel":
            arm(True)
            if run.finished_at is None:
                cancel_workflow(run)
        arm(upto == "end" or stage == "end")
        advance(run.pk)
        run.refresh_from_db()
    return run

def found(run):
    kinds = list(OutboxEvent.objects.filter(subject=run.pk).order_by("pk").values_list("kind", flat=True))
    steps = list(WorkflowStep.objects.filter(workflow=run).order_by("pk").values_list("status", flat=True))
    return [run.status, steps, Job.objects.filter(workflow=run).count(), kinds]

work("warm", "end")
report = {}
for upto in ("end", "cancel"):
    kills, results = 0, []
    while True:
        key = f"{upto} {kills}"
        connection.close()
        child = os.fork()
        if child == 0:
            # One that waits for ever says where it stood.
            faulthandler.dump_traceback_later(100, exit=True)
            left, armed = [kills], [False]
            def die():
                if left[0] == 0:
                    os.kill(os.getpid(), signal.SIGKILL)
                left[0] -= 1
            def dying(execute, sql, params, many, context):
                is_next = not sql.startswith("SELECT") if EVERY_WRITE else sql.startswith("BEGIN")
                if armed[0] and is_next:
                    die()
                return execute(sql, params, many, context)
            commit = connection.commit
            def dying_commit():
                if armed[0]:
                    die()
                commit()
            connection.commit = dying_commit
            with connection.execute_wrapper(dying):
                work(key, upto, armed)
            connection.close()
            os._exit(0)
        status = os.waitpid(child, 0)[1]
        assert status in (0, signal.SIGKILL), f"{upto} {kills}: the child ended with {status}"
        killed = status != 0
        WorkflowRun.objects.filter(finished_at=None).update(leased_until=None, next_at=timezone.now())
        results.append(found(work(key, upto)))
        if not killed:
            break
        kills += 1
    report[upto] = {"kills": kills, "found": results}
report["wrong"] = [str(one) for one in check_ledger()]
print(json.dumps(report))
"""


def test_whatever_is_killed_wherever_each_step_runs_once(migrated_sqlite: Path) -> None:
    settings = {
        "DJANGO_SETTINGS_MODULE": "tests.settings",
        "DATABASE_URL": f"sqlite:///{migrated_sqlite}",
        "PYTHONPATH": str(ROOT),
    }

    ran = subprocess.run(
        [sys.executable, "-c", KILLS],
        cwd=ROOT,
        env=os.environ | settings,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_SECONDS,
    )

    assert ran.returncode == 0, ran.stderr[-3000:]
    report = json.loads(ran.stdout.splitlines()[-1])
    assert report["wrong"] == []
    ended = [
        "failed", ["succeeded", "failed", "succeeded", "skipped"], 3, ["workflow.created", "workflow.failed"],
    ]  # fmt: skip
    assert report["end"]["found"] == [ended] * (report["end"]["kills"] + 1)
    canceled = [
        "canceled", ["succeeded", "failed", "canceled", "skipped"], 3, ["workflow.created", "workflow.canceled"],
    ]  # fmt: skip
    assert report["cancel"]["found"] == [canceled] * (report["cancel"]["kills"] + 1)
    assert report["end"]["kills"] > 12
    assert report["cancel"]["kills"] > 6
