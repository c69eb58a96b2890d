"""Bringing the files of a job to its provider before the job is sent: it waits in our queue until they are there."""

from __future__ import annotations

import secrets
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from catalog.providers.queue import KeyRefusedError, QueueError, RefusedError, UnreachableError
from jobs import failures
from jobs.accepting.own_keys import failure_of, note_refusal
from jobs.assets.models import Asset, Handover
from jobs.assets.references import ids_in
from jobs.assets.storage import open_file
from jobs.assets.texts import replaced_texts
from jobs.dispatching.outgoing import digest_of
from jobs.ending.finishing import fail
from jobs.failures import Failure
from jobs.fallback.attempts import away
from jobs.fallback.switching import switch
from jobs.models import Job, Status
from jobs.testmode.running import open_for
from jobs.transitions import touch
from pricing import sql

_FIRST_WAIT = 1.0
_LONGEST_WAIT = 60.0
GONE = Failure(
    "invalid_input",
    "A file that the input names was deleted before the job could be sent.",
    "Upload it again, and send the job again. Nothing was charged.",
)


class FileGoneError(QueueError):
    """A file is not in our storage any more."""


def claim(limit: int) -> list[Handover]:
    """Up to `limit` jobs whose files are to be handed over, with those files; leases, as everywhere."""
    now = timezone.now()
    if limit <= 0 or not sql.rows("SELECT 1 FROM jobs_handover WHERE next_at <= %s LIMIT 1", now):
        return []
    due = Handover.objects.filter(next_at__lte=now)
    # Of jobs that have ended meanwhile no file goes anywhere; nor of those whose batch is being canceled.
    due.exclude(job__status=Status.QUEUED).delete()
    wanted = due.filter(job__status=Status.QUEUED, job__batch__cancel_requested_at=None)
    until = now + timedelta(seconds=settings.ASSET_DOWNLOAD_SECONDS + 60)
    claimed = []
    for one in wanted.select_related("job").order_by("next_at")[:limit]:
        if Handover.objects.filter(pk=one.pk, next_at=one.next_at).update(next_at=until, attempts=one.attempts + 1):
            one.attempts, one.next_at = one.attempts + 1, until
            one.files = list(Asset.objects.filter(pk__in=ids_in(one.job.input), client_id=one.job.client_id))
            claimed.append(one)
    return claimed


def ask(one: Handover) -> dict[str, str] | QueueError:
    """Sends the files to the provider's storage; their addresses there, by `asset:…`. Touches no rows."""
    addresses: dict[str, str] = {}
    try:
        provider = open_for(one.job)
    except QueueError as error:
        return error
    try:
        for asset in one.files:
            try:
                file = open_file(asset.storage_name)
            except (OSError, ValueError):
                return FileGoneError(f"{asset.pk} is not in the storage")
            with file:
                addresses[f"asset:{asset.pk}"] = provider.upload(
                    file, name=asset.name, content_type=asset.content_type, size=asset.size or 0
                )
    except QueueError as error:
        return error
    finally:
        provider.close()
    return addresses


def apply(one: Handover, outcome: dict[str, str] | QueueError) -> None:
    """Lets the job go with the files' addresses, or tries again later; ends it where that can't help."""
    job = Job.objects.get(pk=one.job_id)
    if job.model_id != one.job.model_id:
        # Another model is to run it now, whose files have a handover of their own.
        return
    if isinstance(outcome, KeyRefusedError | UnreachableError) and switch(job, away(job.provider)):
        return
    if isinstance(outcome, KeyRefusedError) and job.key_source and job.status == Status.QUEUED:
        # Waiting helps nobody: the key is the client's own.
        note_refusal(job, outcome)
        if fail(job, failure_of(job, outcome), answer=outcome.answer):
            Handover.objects.filter(pk=one.pk).delete()
        return
    if isinstance(outcome, QueueError) and not isinstance(outcome, RefusedError | FileGoneError):
        # It waits no longer than any job may wait in our queue.
        slow = isinstance(outcome, KeyRefusedError)
        bound = _LONGEST_WAIT if slow else min(_LONGEST_WAIT, _FIRST_WAIT * 2 ** min(one.attempts, 10))
        wait = bound * (0.5 + secrets.randbelow(1000) / 2000)
        Handover.objects.filter(pk=one.pk).update(next_at=timezone.now() + timedelta(seconds=wait))
        return
    if job.status == Status.QUEUED:
        if isinstance(outcome, FileGoneError):
            done = fail(job, GONE)
        elif isinstance(outcome, RefusedError):
            done = fail(job, failures.refused_submit(outcome), answer=outcome.answer)
        else:
            done = _let_go(job, outcome)
        if not done:
            # Somebody changed the job this moment; the lease brings it back.
            return
    Handover.objects.filter(pk=one.pk).delete()


def _let_go(job: Job, addresses: Any) -> bool:
    input = replaced_texts(job.input, lambda text: addresses.get(text, text))
    if ids_in(input):
        return fail(job, GONE)
    with transaction.atomic(durable=True):
        return touch(job, input=input, input_digest=digest_of(input), next_at=timezone.now())
