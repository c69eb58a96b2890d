"""Who brings a workflow forward: one at a time, by a lease that time undoes; what an earlier one still does is undone.

Every change of a workflow in its turn begins with `hold`, which locks its row: before the client's account, as a job's
end does (`waking.wake`), so that the two never wait for each other.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db.models import F, Q
from django.utils import timezone

from jobs.workflows.models import WorkflowRun

# Longer than a turn takes; after it a dead one's workflow is taken up by another.
LEASE = timedelta(seconds=60)
# Looked at this often though nothing was told of it.
AT_THE_LATEST = timedelta(seconds=60)


class OvertakenError(Exception):
    """Somebody else has the turn, or the workflow starts nothing any more; what was begun must be undone."""


def due(limit: int = 20) -> list[str]:
    """Workflows that something is to be done for now, the longest due first."""
    now = timezone.now()
    free = Q(leased_until=None) | Q(leased_until__lte=now)
    found = WorkflowRun.objects.filter(free, finished_at=None, next_at__lte=now).order_by("next_at")
    return list(found.values_list("pk", flat=True)[:limit])


def claim(workflow_id: str) -> WorkflowRun | None:
    """Begins a turn; None where somebody else has it, or it is over."""
    now = timezone.now()
    free = Q(leased_until=None) | Q(leased_until__lte=now)
    unfinished = WorkflowRun.objects.filter(free, pk=workflow_id, finished_at=None)
    run = unfinished.select_related("client", "key__client").first()
    if run is None:
        return None
    if not unfinished.filter(turn=run.turn).update(turn=F("turn") + 1, leased_until=now + LEASE):
        return None
    # As it is now, with all that was told before the turn began.
    run.refresh_from_db(fields=["turn", "news", "cancel_requested_at", "leased_until"])
    return run


def hold(run: WorkflowRun, *, starts: bool = False) -> None:
    """Keeps the turn until the end of the caller's transaction; raises OvertakenError where it is over.

    `starts`: for what a cancel forbids.
    """
    mine = WorkflowRun.objects.filter(pk=run.pk, turn=run.turn, finished_at=None)
    if starts:
        mine = mine.filter(cancel_requested_at=None)
    if not mine.update(turn=run.turn):
        raise OvertakenError(run.pk)


def give_back(run: WorkflowRun, *, next_at: datetime | None) -> None:
    """Ends a turn; the workflow sleeps until `next_at` (None: until it is told something), or goes on at once where
    something was told meanwhile."""
    mine = WorkflowRun.objects.filter(pk=run.pk, turn=run.turn, finished_at=None)
    latest = timezone.now() + AT_THE_LATEST
    if not mine.filter(news=run.news).update(leased_until=None, next_at=min(next_at or latest, latest)):
        mine.update(leased_until=None, next_at=timezone.now())
