"""Canceling: at once while a job is ours alone, else by asking the provider; what it delivers all the same counts."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from django.db import transaction
from django.utils import timezone

from catalog.providers.queue import QueueError, QueueInterface
from genfeed.clients.errors import ApiError
from jobs.dispatching.pace import next_look
from jobs.ending.finishing import canceled
from jobs.models import Job, Status
from jobs.transitions import move, touch

_TRIES = 10


def cancel(job: Job, *, reason: str = "client", beside: Callable[[], None] | None = None) -> Job:
    """Cancels a job, or begins to; asking twice is no error. Raises ApiError `conflict` for one that has ended.

    `beside` writes in the transaction of the change, e.g. the audit; it is not called where nothing changes.

    A queued job ends at once and costs nothing. One at the provider becomes `canceling` until its outcome is known: it
    may still succeed, and is then delivered and charged.
    """
    for _ in range(_TRIES):
        if job.status == Status.CANCELED:
            return job
        if job.has_ended:
            raise ApiError("conflict", f"The job has ended: it {job.status}.", "Nothing is left to cancel.")
        if job.cancel_requested_at:
            return job
        if _cancel(job, reason, beside):
            return job
        job.refresh_from_db()
    raise ApiError("conflict", "The job changes too fast to be canceled.", "Try again.")


def _cancel(job: Job, reason: str, beside: Callable[[], None] | None) -> bool:
    now = timezone.now()
    if job.status == Status.QUEUED:
        job.cancel_reason = reason
        return canceled(job, beside=beside)
    if job.status == Status.SUBMITTING:
        # Whether it was accepted is not known yet; whoever finds out goes on from here.
        with transaction.atomic(durable=True):
            changed = touch(job, cancel_requested_at=now, cancel_reason=reason)
            if changed and beside:
                beside()
            return changed
    return begin_cancel(job, reason=reason, beside=beside)


def begin_cancel(job: Job, *, reason: str, beside: Callable[[], None] | None = None) -> bool:
    """Moves a job at the provider to `canceling`; the dispatcher sends the request."""
    now = timezone.now()
    with transaction.atomic(durable=True):
        moved = move(
            job, Status.CANCELING, cancel_requested_at=now, cancel_reason=reason, cancel_sent_at=None, next_at=now
        )
        if moved and beside:
            beside()
        return moved


def ask(provider: QueueInterface, job: Job) -> str | QueueError:
    """Asks the provider to cancel."""
    try:
        return provider.cancel(job.request)
    except QueueError as error:
        return error


def apply(job: Job, outcome: str | QueueError) -> None:
    """Writes down that it was asked; the outcome is what the next look finds."""
    now = timezone.now()
    if isinstance(outcome, QueueError):
        with transaction.atomic(durable=True):
            touch(job, next_at=now + next_look(job, job.looks + 2), looks=job.looks + 1)
        return
    if outcome == "unknown":
        canceled(job)
        return
    # Requested or too late: a look tells what became of it.
    with transaction.atomic(durable=True):
        touch(job, cancel_sent_at=now, next_at=now + timedelta(milliseconds=200), looks=0)
