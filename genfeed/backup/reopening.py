"""What a database that was put back must not do again: work that may have been sent after its moment."""

from __future__ import annotations

from django.db import transaction
from django.utils import timezone

from jobs.models import Job, Status
from jobs.transitions import move


def hold_back_what_may_be_sent() -> int:
    """Has every waiting job looked for at its provider instead of sent; how many there were.

    It was waiting at the moment of the copy. What ran on after that may have sent it, so it counts as sent: the
    dispatcher adopts its request where the provider has it, and else gives the job up, which costs its client nothing.
    """
    count = 0
    now = timezone.now()
    for job in Job.objects.filter(status=Status.QUEUED).iterator():
        with transaction.atomic(durable=True):
            count += move(
                job, Status.SUBMITTING, sent_at=job.created_at, attempts=job.attempts + 1, next_at=now, looks=0
            )
    return count
