"""Bringing workflows forward: what has ended is written down, what can't run is skipped, and what can run is started.

All of it follows from rows. Whoever dies in the middle has started each run of a step once or not at all: its job is
made in the transaction that marks it.
"""

from __future__ import annotations

import logging
import time
from datetime import timedelta

from django.db import InterfaceError, OperationalError, transaction
from django.utils import timezone

from jobs.models import ENDED, Job
from jobs.workflows.board import Board
from jobs.workflows.canceling import cancel_jobs
from jobs.workflows.ending import end
from jobs.workflows.models import StepStatus, WorkflowRun, WorkflowStep
from jobs.workflows.plans import read_plan
from jobs.workflows.starting import Starter
from jobs.workflows.turns import OvertakenError, claim, due, give_back, hold

logger = logging.getLogger(__name__)

# How much of one round of a dispatcher may go to workflows, in seconds.
_PATIENCE = 0.25
_EVERY = 0.1
_looked = 0.0


def advance_due(*, now: bool = False) -> int:
    """One round over the workflows that are due, every moment, or `now`; returns how many were brought forward."""
    global _looked
    if not now and time.monotonic() - _looked < _EVERY:
        return 0
    _looked = time.monotonic()
    count, until = 0, _looked + _PATIENCE
    for workflow_id in due():
        if time.monotonic() > until:
            break
        try:
            count += advance(workflow_id, until=until)
        except (OperationalError, InterfaceError):
            raise
        except Exception:
            # The lease ends by itself, and it is tried again; others go on. So too where the database itself refuses
            # something of it for good.
            logger.exception("workflow %s could not be brought forward", workflow_id)
    return count


def advance(workflow_id: str, *, until: float | None = None) -> bool:
    """Does for a workflow what can be done now; False where somebody else is at it.

    `until`, of the monotonic clock: when to leave the rest to the next turn.
    """
    run = claim(workflow_id)
    if run is None:
        return False
    try:
        _advance(run, until)
    except OvertakenError:
        # Whoever has the turn now, or canceled, goes on from what is written.
        WorkflowRun.objects.filter(pk=run.pk, turn=run.turn).update(leased_until=None, next_at=timezone.now())
    return True


def _advance(run: WorkflowRun, until: float | None) -> None:
    board = Board(read_plan(run.plan), WorkflowStep.objects.filter(workflow=run).select_related("job"))
    starter = Starter(run, board)
    all_asked = True
    while True:
        _write_down(run, board)
        if run.cancel_requested_at:
            all_asked = cancel_jobs(run, until=time.monotonic() + _PATIENCE)
            break
        started = False
        for row in board.ready():
            if until is not None and time.monotonic() > until:
                give_back(run, next_at=timezone.now())
                return
            started |= starter.start(row)
            if starter.is_stopped:
                break
        # What was answered by a stored result has ended already, and what failed may be waited for.
        if not started or starter.is_stopped:
            break
    _write_down(run, board)
    if outcome := board.outcome:
        with transaction.atomic(durable=True):
            hold(run)
            end(run, "canceled" if run.cancel_requested_at else outcome)
        return
    # Files that a step waits for are news when they come, as ends of jobs are.
    seconds = starter.retry_seconds if all_asked else 0.0
    give_back(run, next_at=None if seconds is None else timezone.now() + timedelta(seconds=seconds))


def _write_down(run: WorkflowRun, board: Board) -> None:
    """What has ended, what will never begin, and what a cancel keeps from beginning."""
    changed = []
    running = board.all(StepStatus.RUNNING)
    jobs = Job.objects.filter(status__in=ENDED).only("status", "error").in_bulk([row.job_id for row in running])
    for row in running:
        if row.job_id in jobs:
            job = jobs[row.job_id]
            row.status, row.error = StepStatus(job.status), job.error
            changed.append(row)
    if run.cancel_requested_at:
        for row in board.all(StepStatus.WAITING):
            row.status, row.error, row.waits_since = StepStatus.CANCELED, None, None
            changed.append(row)
    changed += board.skip()
    if changed:
        with transaction.atomic(durable=True):
            hold(run)
            WorkflowStep.objects.bulk_update(changed, ["status", "error", "waits_since"], batch_size=200)
