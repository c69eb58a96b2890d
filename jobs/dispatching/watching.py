"""Looking after jobs at the provider: `ask` talks to the provider and to no database, `apply` the other way round."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import DataError, transaction
from django.utils import timezone

from catalog.providers.queue import (
    KeyRefusedError,
    Progress,
    QueueError,
    QueueInterface,
    RefusedError,
    Result,
)
from jobs import failures
from jobs.accepting.own_keys import gate_of, note_refusal
from jobs.canceling import begin_cancel
from jobs.dispatching import gate
from jobs.dispatching.pace import next_look
from jobs.ending.answers import kept
from jobs.ending.finishing import canceled, end_by, fail, finish, finish_all, insist
from jobs.models import Job, Status
from jobs.transitions import Earlier, move, touch

logger = logging.getLogger(__name__)

# Whatever a provider does, a job and its hold end by then.
LONGEST = timedelta(hours=24)
# A provider may take a moment to know a request by its id.
_UNKNOWN_LOOKS = 8
_REMEMBERED_LINES = 200


@dataclass(frozen=True, slots=True)
class Watched:
    """What a look brought: where the request stands, and the result of one that is completed."""

    progress: Progress | None
    result: Result | None = None


def ask(provider: QueueInterface, job: Job) -> Watched | QueueError:
    """Asks where the request stands, and fetches the result of a completed one."""
    try:
        progress = provider.progress(job.request, logs=True)
        if progress.state != "completed":
            return Watched(progress)
        return Watched(progress, provider.result(job.request))
    except QueueError as error:
        return error


def apply(job: Job, outcome: Watched | QueueError) -> None:
    """Writes down what a look brought; whoever changed the job meanwhile goes first, and the next look comes soon."""
    now = timezone.now()
    if isinstance(outcome, QueueError):
        _in_vain(job, outcome, now)
    elif outcome.result is not None:
        _finish(job, outcome.result, _logs(outcome))
    elif outcome.progress is not None and not _give_up(job, now):
        _follow(job, outcome.progress, now)


def is_ended(outcome: Watched | QueueError) -> bool:
    """Whether it brought the result, which `apply_all` writes down."""
    return isinstance(outcome, Watched) and outcome.result is not None


def apply_all(came: Sequence[tuple[Job, Watched]]) -> set[str]:
    """Writes down many results in one transaction; the ids of the jobs that `apply` must look at by itself.

    Raises DatabaseError, and then nothing is written, but the jobs at hand are not as they were.
    """
    ends = [end_by(job, seen.result, after=_new_lines(job, _logs(seen))) for job, seen in came if seen.result]
    return {job.pk for job, _ in came} - finish_all(ends)


def give_up_if_old(job: Job) -> None:
    """Ends a job that nothing can be made of, again and again, once a day has passed."""
    begun = job.submitted_at or job.sent_at or job.created_at
    if not job.has_ended and timezone.now() - begun > LONGEST:
        insist(job, lambda job: fail(job, failures.NEVER_ENDED))


def _logs(seen: Watched) -> list[dict[str, Any]]:
    return seen.progress.logs if seen.progress else []


def _finish(job: Job, result: Result, logs: list[dict[str, Any]]) -> None:
    try:
        insist(job, lambda job: finish(job, result, after=_new_lines(job, logs)))
    except (DataError, UnicodeError, OverflowError):
        # Another look would bring the same.
        logger.exception("the result of job %s can't be kept", job.pk)
        job.refresh_from_db()
        if not job.has_ended:
            insist(job, lambda job: fail(job, failures.NO_PAYLOAD))


def _follow(job: Job, progress: Progress, now: datetime) -> None:
    columns: dict[str, Any] = {"next_at": _next(job, now), "looks": job.looks + 1}
    columns["after"] = _new_lines(job, progress.logs)
    with transaction.atomic(durable=True):
        if progress.state == "queued":
            # Time in the provider's queue does not count.
            columns["deadline_at"] = now + timedelta(seconds=job.deadline_seconds)
            columns["queue_position"] = progress.position
            told: dict[str, Any] = {"event": "job_progress", "data": {"queue_position": progress.position}}
            if job.status == Status.RUNNING:
                move(job, Status.SUBMITTED, rows=kept(job, progress.answer), **told, **columns)
            elif progress.position != job.queue_position and progress.position is not None:
                touch(job, **told, **columns)
            else:
                touch(job, **columns)
        elif job.status == Status.SUBMITTED:
            move(
                job,
                Status.RUNNING,
                event="job_started",
                rows=kept(job, progress.answer),
                started_at=job.started_at or now,
                queue_position=None,
                **columns,
            )
        else:
            touch(job, **columns)


def _give_up(job: Job, now: datetime) -> bool:
    """Cancels what is past its deadline, and ends what no provider has ended within a day."""
    if job.submitted_at and now - job.submitted_at > LONGEST:
        return fail(job, failures.NEVER_ENDED)
    if job.status == Status.CANCELING:
        return False
    if job.cancel_requested_at:
        # Asked for while the submit was under way, and not passed on yet.
        return begin_cancel(job, reason=job.cancel_reason)
    return bool(job.deadline_at and now >= job.deadline_at) and begin_cancel(job, reason="deadline")


def _in_vain(job: Job, error: QueueError, now: datetime) -> None:
    unknown = isinstance(error, RefusedError) and error.status == 404
    if unknown and job.status == Status.CANCELING:
        canceled(job)
        return
    if unknown and job.looks >= _UNKNOWN_LOOKS:
        fail(job, failures.LOST, answer=error.answer)
        return
    if _give_up(job, now):
        return
    wait = next_look(job, job.looks + 2)
    if isinstance(error, KeyRefusedError):
        # Whatever was sent goes on there; we see it again with a key that is right.
        gate.block_for(gate_of(job), error)
        if job.key_source:
            note_refusal(job, error)
        wait = timedelta(seconds=30)
    with transaction.atomic(durable=True):
        answer = kept(job, error.answer) if job.looks == 0 else []
        touch(job, rows=answer, next_at=now + wait, looks=job.looks + 1)


def _next(job: Job, now: datetime) -> datetime:
    soon = now + next_look(job, job.looks)
    # The deadline is looked at when it comes, not at the next look after it.
    return min(soon, job.deadline_at) if job.deadline_at and job.deadline_at > now else soon


def _new_lines(job: Job, logs: list[dict[str, Any]]) -> Earlier | None:
    """What is to be told of log lines: each is told once, and the provider shows a moving window of them."""
    told = set(job.log_mark)
    marks = [_mark(line) for line in logs]
    new = [line for line, mark in zip(logs, marks, strict=True) if mark not in told]
    if not new:
        return None
    # All that the window shows is remembered, however long it is: it may show it again.
    shown = set(marks)
    remembered = [mark for mark in job.log_mark if mark not in shown][-_REMEMBERED_LINES:] + list(dict.fromkeys(marks))
    return Earlier("job_progress", {"logs": new}, {"log_mark": remembered})


def _mark(line: dict[str, Any]) -> str:
    text = f"{line['timestamp']}\n{line['level']}\n{line['message']}"
    return hashlib.sha256(text.encode()).hexdigest()[:12]
