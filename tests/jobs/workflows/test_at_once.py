"""Several processes at one workflow: each step is started once, whoever ends what meanwhile."""

import time

import pytest
from django.db import connections

from genfeed.clients.keys import Caller
from jobs import failures
from jobs.ending.finishing import fail
from jobs.models import OPEN, Job, Status, WorkflowRun
from jobs.workflows.advancing import advance
from pricing.ledger.checking import check_ledger
from pricing.models import Account
from tests.clients.limits.test_processes import in_processes
from tests.jobs.workflows.flows import PICTURE, make_flow, steps_of, told

pytestmark = pytest.mark.django_db(transaction=True)
RUNS = 8
PATIENCE_SECONDS = 60


def test_processes_that_bring_one_workflow_forward_start_each_run_once(caller: Caller) -> None:
    first = {**PICTURE, "quantity": RUNS, "on_error": "continue"}
    then = {**PICTURE, "name": "then", "quantity": RUNS, "depends_on": ["picture"], "on_error": "continue"}
    run = make_flow(caller, first, then)
    connections.close_all()

    def work() -> int:
        """Brings it forward and ends its jobs, as dispatchers do, until it has ended; how many jobs it ended."""
        ended, until = 0, time.monotonic() + PATIENCE_SECONDS
        while WorkflowRun.objects.filter(pk=run.pk, finished_at=None).exists():
            assert time.monotonic() < until, steps_of(run)
            # Time undoes leases of the dead; here of the living too, so that they overtake each other.
            WorkflowRun.objects.filter(pk=run.pk).update(leased_until=None)
            advance(run.pk)
            for job in Job.objects.filter(workflow=run, status__in=OPEN)[:5]:
                Job.objects.filter(pk=job.pk, status=Status.QUEUED).update(status=Status.SUBMITTED)
                job.refresh_from_db()
                ended += bool(not job.has_ended and fail(job, failures.NO_MEDIA))
        return ended

    assert in_processes(work) == 2 * RUNS
    run.refresh_from_db()
    assert (run.status, Job.objects.count()) == ("succeeded", 2 * RUNS)
    assert steps_of(run) == {"picture": ["failed"] * RUNS, "then": ["failed"] * RUNS}
    assert told(run) == ["workflow.created", "workflow.succeeded"]
    account = Account.objects.get(client_id=caller.client_id)
    assert (account.held, account.spent, account.open_holds) == (0, 0, 0)
    assert check_ledger() == []
