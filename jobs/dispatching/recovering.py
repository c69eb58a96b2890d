"""Looking for submits whose answer was lost: found in the provider's own list, or given up after a grace period."""

from __future__ import annotations

from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from catalog.providers.queue import FoundRequest, QueueError, QueueInterface
from jobs import failures
from jobs.dispatching.outgoing import digest_of
from jobs.dispatching.submitting import adopt
from jobs.ending.finishing import fail
from jobs.models import Job
from jobs.transitions import touch

_SKEW = timedelta(seconds=60)
_EVERY = timedelta(seconds=3)


def ask(provider: QueueInterface, job: Job) -> list[FoundRequest] | QueueError:
    """Reads what the provider's list says was sent to the model since the submit.

    Not for an input with secrets: requests that differ in nothing else look alike, and may be another client's. Of such
    a one only the provider's webhook can tell.
    """
    if job.secret_fields:
        return []
    try:
        return provider.find(job.called, since=job.sent_at or job.created_at)
    except QueueError as error:
        return error


def apply(job: Job, outcome: list[FoundRequest] | QueueError) -> None:
    """Adopts the request if it is there; gives the job up when the grace period is over without it.

    Requests of equal inputs are alike: any of them that no other job has will do.
    """
    now = timezone.now()
    sent_at = job.sent_at or job.created_at
    if not isinstance(outcome, QueueError):
        for found in sorted(outcome, key=lambda one: one.sent_at or now):
            if _is_like(job, found) and not Job.objects.filter(request_id=found.request_id).exists():
                if adopt(job, job.request_of(found.request_id)):
                    return
                job.refresh_from_db()
    if job.has_ended or job.request_id:
        return
    if now - sent_at > timedelta(seconds=settings.SUBMIT_GRACE_SECONDS) and not isinstance(outcome, QueueError):
        fail(job, failures.SUBMIT_UNKNOWN)
        return
    with transaction.atomic(durable=True):
        touch(job, next_at=now + _EVERY, looks=job.looks + 1)


def _is_like(job: Job, found: FoundRequest) -> bool:
    sent_at = job.sent_at or job.created_at
    if found.sent_at is not None and found.sent_at < sent_at - _SKEW:
        return False
    if not isinstance(found.input, dict):
        return False
    return digest_of(found.input) == job.input_digest
