"""What no request does for a batch any more: closing those that were cut off, and going on with cancels."""

from __future__ import annotations

import time
from datetime import timedelta

from django.db import transaction
from django.utils import timezone

from jobs.batches.canceling import cancel_jobs
from jobs.batches.closing import close_cut_off
from jobs.batches.ending import end_if_last
from jobs.batches.models import Batch
from jobs.models import OPEN, Job
from pricing.ledger.accounts import lock_account

# How long a repetition of a request that was cut off is waited for, after its lease.
PATIENCE = timedelta(minutes=10)
_SECONDS_A_BATCH = 0.5
_EVERY = 5.0
_swept = 0.0


def sweep_batches(*, now: bool = False) -> None:
    """One round over the batches that have not ended, every few seconds, or `now`."""
    global _swept
    if not now and time.monotonic() - _swept < _EVERY:
        return
    _swept = time.monotonic()
    for batch in Batch.objects.filter(finished_at=None).order_by("id")[:1000]:
        _sweep(batch)


def _sweep(batch: Batch) -> None:
    if batch.closed_at is None and batch.accepting_until < timezone.now() - PATIENCE:
        close_cut_off(batch)
    if batch.cancel_requested_at:
        cancel_jobs(batch, until=time.monotonic() + _SECONDS_A_BATCH)
    # The last job ends its batch by itself. This only is for what nobody has thought of.
    if batch.closed_at and not Job.objects.filter(batch=batch, status__in=OPEN).exists():
        with transaction.atomic(durable=True):
            lock_account(batch.client_id)
            end_if_last(batch.pk)
