"""Canceling a workflow: nothing more is started from then on, and its jobs are canceled as jobs are."""

from __future__ import annotations

import time
from collections.abc import Callable

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from genfeed.clients.errors import ApiError
from jobs.canceling import cancel
from jobs.models import OPEN, Job, Status
from jobs.workflows.models import WorkflowRun

# How long a request may work on it; dispatchers do the rest.
PATIENCE_SECONDS = 2.0


def cancel_workflow(
    run: WorkflowRun, *, reason: str = "client", beside: Callable[[], None] | None = None
) -> WorkflowRun:
    """Cancels a workflow, or begins to; asking twice is no error. Raises ApiError `conflict` for one that has ended.

    `beside` writes in the transaction of the mark, e.g. the audit; it is not called where nothing changes.
    """
    now = timezone.now()
    with transaction.atomic(durable=True):
        marked = WorkflowRun.objects.filter(pk=run.pk, finished_at=None, cancel_requested_at=None)
        if marked.update(cancel_requested_at=now, next_at=now, news=F("news") + 1) and beside:
            beside()
    run.refresh_from_db()
    if run.finished_at and run.outcome != "canceled":
        raise ApiError("conflict", f"The workflow has ended: it {run.outcome}.", "Nothing is left to cancel.")
    cancel_jobs(run, reason=reason, until=time.monotonic() + PATIENCE_SECONDS)
    return run


def cancel_jobs(run: WorkflowRun, *, until: float, reason: str = "client") -> bool:
    """Cancels the jobs of a workflow one by one, those that wait here first, `until` a time of the monotonic clock;
    whether the time was enough for all."""
    for statuses in ((Status.QUEUED,), OPEN):
        for job in Job.objects.filter(workflow=run, status__in=statuses, cancel_requested_at=None):
            if time.monotonic() > until:
                return False
            try:
                cancel(job, reason=reason)
            except ApiError:
                # It has ended meanwhile, or another look will do.
                continue
    return True
