"""Sending a job to its provider, once: `ask` talks to the provider and to no database, `apply` the other way round."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone

from catalog.outdated import read_again
from catalog.providers.queue import (
    Answer,
    KeyRefusedError,
    LockedError,
    NotAcceptedError,
    QueueError,
    QueueInterface,
    RefusedError,
    Request,
    Submitted,
    VersionGoneError,
)
from genfeed.clients.sealing import CannotUnsealError
from jobs import failures
from jobs.accepting.own_keys import failure_of, gate_of, note_refusal
from jobs.accepting.secret_inputs import with_opened
from jobs.canceling import begin_cancel
from jobs.dispatching import gate
from jobs.dispatching.pace import is_told_of, next_look
from jobs.ending.answers import kept
from jobs.ending.finishing import canceled, fail, insist
from jobs.ending.orphans import note_orphan
from jobs.failures import Failure
from jobs.fallback.attempts import away
from jobs.fallback.switching import switch
from jobs.metrics import observe_submitted
from jobs.models import Job, ProviderAnswer, Status
from jobs.testmode.mode import is_test
from jobs.testmode.triggers import triggers_of
from jobs.transitions import Change, change_all, move, touch
from pricing import sql

_FIRST_RETRY = 1.0
_LONGEST_RETRY = 30.0


class NotSentError(NotAcceptedError):
    """We did not send it at all; it says nothing about the provider."""


def ask(provider: QueueInterface, job: Job) -> Submitted | QueueError | Failure:
    """Sends the request. What is not a clear answer is returned as an error, for `apply` to judge.

    A test job may be told to fail in the place of being sent, and one whose secrets can't be read any more must.
    """
    claimed_for = timezone.now() - (job.sent_at or job.created_at)
    if claimed_for > timedelta(seconds=settings.SUBMIT_GRACE_SECONDS) / 2:
        # This process was stopped in between; soon others take the submit for lost, or have done so.
        return NotSentError("the claim is too old")
    # An alternative that comes after it runs well.
    if is_test(job) and job.attempts == 1 and (told := triggers_of(job.metadata, job.input).failure):
        return told
    try:
        opened = with_opened(job.input, job.secret_fields)
    except CannotUnsealError:
        return failures.SECRET_LOST
    try:
        return provider.submit(
            job.called,
            opened,
            version=job.upstream_version,
            webhook_url=webhook_url(job),
            low_priority=job.priority == Job.Priority.LOW,
        )
    except QueueError as error:
        return error


def webhook_url(job: Job) -> str:
    """Where the provider tells of the end: it names the job and its own token; "" where none is asked for."""
    if not is_told_of(job):
        return ""
    return f"{settings.PUBLIC_URL}/webhooks/{job.provider}/{job.pk}/{job.token}"


def apply(job: Job, outcome: Submitted | QueueError | Failure) -> None:
    """Writes down what became of a submit."""
    if isinstance(outcome, Failure):
        _told_to_fail(job, outcome)
    elif isinstance(outcome, Submitted):
        gate.note_success(gate_of(job))
        if not adopt(job, outcome.request, position=outcome.queue_position, answer=outcome.answer):
            _too_late(job, outcome)
    elif isinstance(outcome, NotAcceptedError):
        if not isinstance(outcome, NotSentError):
            gate.note_failure(gate_of(job), str(outcome))
            # One that is only busy is waited for.
            busy = outcome.answer is not None and outcome.answer.status == 429
            if not busy and switch(job, away(job.provider), answer=outcome.answer):
                return
        _requeue(job, outcome)
    elif isinstance(outcome, LockedError | KeyRefusedError):
        _our_account(job, outcome)
    elif isinstance(outcome, RefusedError):
        failure, answer = failures.refused_submit(outcome), outcome.answer
        if isinstance(outcome, VersionGoneError):
            read_again(job.model_id, job.upstream_version)
        gone = failure.code == "model_retired"
        if gone and switch(job, (failure.code, failure.message), answer=answer):
            return
        insist(job, lambda job: fail(job, failure, answer=answer))
    else:
        gate.note_failure(gate_of(job), str(outcome))
        rows = kept(job, outcome.answer or Answer("submit", 0, body=str(outcome)))
        with transaction.atomic(durable=True):
            # From here on `recovering` looks for it.
            touch(job, rows=rows, next_at=timezone.now() + timedelta(seconds=1))


def is_accepted(outcome: Submitted | QueueError | Failure) -> bool:
    """Whether the provider has taken the job, which `apply_all` writes down."""
    return isinstance(outcome, Submitted)


def apply_all(came: Sequence[tuple[Job, Submitted]]) -> set[str]:
    """Writes down many submits that were accepted, in one transaction; the jobs that `apply` must look at by itself.

    Raises DatabaseError, and then nothing is written, but the jobs at hand are not as they were.
    """
    for name in {gate_of(job) for job, _ in came}:
        gate.note_success(name)
    now = timezone.now()
    with transaction.atomic(durable=True):
        # Everybody who locks several jobs takes them in this order.
        ordered = sorted((one for one in came if one[0].status == Status.SUBMITTING), key=lambda one: one[0].pk)
        made = change_all([_tie(job, outcome.request, outcome.queue_position, now=now) for job, outcome in ordered])
        tied = [one for one, is_made in zip(ordered, made, strict=True) if is_made]
        sql.insert_all([answer for job, outcome in tied for answer in kept(job, outcome.answer)])
    for job, _ in tied:
        _is_tied(job, now)
    return {job.pk for job, _ in came} - {job.pk for job, _ in tied}


def _told_to_fail(job: Job, told: Failure) -> None:
    gone = told.code == "model_retired"
    if not gone or not switch(job, (told.code, told.message)):
        insist(job, lambda job: fail(job, told))


def adopt(
    job: Job,
    request: Request,
    *,
    position: int | None = None,
    answer: Answer | None = None,
    now: datetime | None = None,
    looked_at_now: bool = False,
) -> bool:
    """Ties a job to its request at the provider; True too where it is tied to that very request already.

    `looked_at_now`: the provider has news of it, which the dispatcher looks at next.
    False where the job has ended meanwhile, or another job has that request.
    """
    now = now or timezone.now()
    for _ in range(5):
        try:
            with transaction.atomic(durable=True):
                if job.status == Status.SUBMITTING:
                    rows = kept(job, answer)
                    change_all([_tie(job, request, position, now=now, looked_at_now=looked_at_now, rows=rows)])
        except IntegrityError:
            return False
        if job.status == Status.SUBMITTED and job.request_id == request.request_id:
            _is_tied(job, now)
            return True
        job.refresh_from_db()
        if job.status != Status.SUBMITTING:
            return job.request_id == request.request_id
    return False


def _tie(
    job: Job,
    request: Request,
    position: int | None,
    *,
    now: datetime,
    looked_at_now: bool = False,
    rows: Sequence[ProviderAnswer] = (),
) -> Change:
    """The change that ties a job that is being sent to its request."""
    deadline = now + timedelta(seconds=job.deadline_seconds)
    columns = {
        "request_id": request.request_id,
        "urls": request.urls,
        "submitted_at": now,
        "deadline_at": deadline,
        "queue_position": position,
        "looks": 0,
        "next_at": now if looked_at_now else min(deadline, now + next_look(job, 0)),
    }
    return Change(job, Status.SUBMITTED, columns, rows=rows)


def _is_tied(job: Job, now: datetime) -> None:
    """What follows from a job's request being known, after the transaction."""
    if job.submitted_at == now:
        observe_submitted(job)
    if job.cancel_requested_at:
        begin_cancel(job, reason=job.cancel_reason)


def _requeue(job: Job, error: NotAcceptedError) -> None:
    """Certainly not accepted: back into the queue, to be sent again after a wait."""
    bound = min(_LONGEST_RETRY, _FIRST_RETRY * 2 ** min(job.attempts - 1, 10))
    jitter = secrets.randbelow(1000) / 1000
    wait = error.retry_after if error.retry_after is not None else bound * jitter
    now = timezone.now()
    again = now + timedelta(seconds=min(wait, _LONGEST_RETRY))
    while job.status == Status.SUBMITTING:
        if job.cancel_requested_at:
            if canceled(job):
                return
        else:
            with transaction.atomic(durable=True):
                if move(job, Status.QUEUED, rows=kept(job, error.answer), sent_at=None, next_at=again):
                    return
        job.refresh_from_db()


def _our_account(job: Job, error: QueueError) -> None:
    """401 and 403 are our problem: a person is told, nothing more is sent for a while, and the client loses nothing.

    With a key of the client's own they are the client's, who is told which key it is.
    """
    gate.block_for(gate_of(job), error)
    if job.key_source:
        note_refusal(job, error)
    failure = failure_of(job, error) if job.key_source else failures.OUR_ACCOUNT
    if switch(job, (failure.code, failure.message), answer=error.answer):
        return
    insist(job, lambda job: fail(job, failure, answer=error.answer))


def _too_late(job: Job, outcome: Submitted) -> None:
    """The provider accepted a job that was given up meanwhile: it is not delivered, and its bill is our loss."""
    note_orphan(job, outcome.request)
