"""Canceling a batch: its mark at once, then its jobs; what is delivered all the same counts, as for any job."""

from __future__ import annotations

import time
from collections.abc import Callable

from django.db import transaction
from django.utils import timezone

from genfeed.clients.errors import ApiError
from jobs.batches.models import Batch
from jobs.canceling import cancel
from jobs.models import OPEN, Job, Status

# How long a request may work on it; dispatchers do the rest.
PATIENCE_SECONDS = 2.0


def cancel_batch(batch: Batch, *, reason: str = "client", beside: Callable[[], None] | None = None) -> Batch:
    """Cancels a batch, or begins to; asking twice is no error. Raises ApiError `conflict` for one that has ended.

    `beside` writes in the transaction of the mark, e.g. the audit; it is not called where nothing changes.
    """
    now = timezone.now()
    with transaction.atomic(durable=True):
        # At once for all: none of its jobs that wait here is claimed any more.
        marked = Batch.objects.filter(pk=batch.pk, finished_at=None, cancel_requested_at=None)
        if marked.update(cancel_requested_at=now) and beside:
            beside()
    batch.refresh_from_db()
    if batch.status == "completed":
        raise ApiError("conflict", "The batch has ended.", "Nothing is left to cancel.")
    cancel_jobs(batch, reason=reason, until=time.monotonic() + PATIENCE_SECONDS)
    batch.refresh_from_db()
    return batch


def cancel_jobs(batch: Batch, *, until: float, reason: str = "client") -> None:
    """Cancels the jobs of a batch one by one, those that wait here first, `until` a moment of the monotonic clock."""
    for statuses in ((Status.QUEUED,), OPEN):
        for job in Job.objects.filter(batch=batch, status__in=statuses, cancel_requested_at=None):
            if time.monotonic() > until:
                return
            try:
                cancel(job, reason=reason)
            except ApiError:
                # It has ended meanwhile, or another look will do.
                continue
