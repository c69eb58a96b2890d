"""Telling whoever brings workflows forward that there is something to do."""

from __future__ import annotations

from django.db.models import F
from django.utils import timezone

from jobs.workflows.models import WorkflowRun


def wake(workflow_id: str) -> None:
    """Has a workflow looked at now, in the transaction of what happened to it."""
    unfinished = WorkflowRun.objects.filter(pk=workflow_id, finished_at=None)
    unfinished.update(next_at=timezone.now(), news=F("news") + 1)
