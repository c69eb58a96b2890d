"""Every change of a job: one conditional UPDATE; only whoever wins it books money and writes the event.

The condition is the version that the caller has seen, so nothing is ever decided on an outdated job. The version after
a change is also the number of its event.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import Model
from django.utils import timezone

from genfeed.journal.models import OutboxEvent
from jobs.accepting.secret_inputs import with_hidden
from jobs.fallback.attempts import without_columns
from jobs.models import ENDED, Job, JobEvent, Status
from jobs.testmode.mode import is_test, mark_of
from pricing import sql

FOLLOWS: dict[str, frozenset[str]] = {
    Status.QUEUED: frozenset({Status.SUBMITTING, Status.FAILED, Status.CANCELED}),
    Status.SUBMITTING: frozenset({Status.QUEUED, Status.SUBMITTED, Status.FAILED, Status.CANCELED}),
    Status.SUBMITTED: frozenset({Status.RUNNING, Status.CANCELING, Status.SUCCEEDED, Status.FAILED}),
    # A provider may put a running request back into its queue by itself.
    Status.RUNNING: frozenset({Status.SUBMITTED, Status.CANCELING, Status.SUCCEEDED, Status.FAILED}),
    Status.CANCELING: frozenset({Status.CANCELED, Status.SUCCEEDED, Status.FAILED}),
    Status.SUCCEEDED: frozenset(),
    Status.FAILED: frozenset(),
    Status.CANCELED: frozenset(),
}


class NotAllowedError(Exception):
    """A step that the state machine does not have: a mistake in the code, never in a request."""


@dataclass(frozen=True, slots=True)
class Earlier:
    """What came before a change and was not written down yet: an event, and the columns that go with it."""

    event: str
    data: dict[str, Any]
    columns: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Change:
    """One change of a job. `to`: its next status, "" where that stays; `event`: what tells of it, with `data`.

    `columns`: what else changes; `after`: what is told before; `rows`: new ones that are written with it.
    """

    job: Job
    to: str = ""
    columns: Mapping[str, Any] = field(default_factory=dict)
    event: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)
    after: Earlier | None = None
    rows: Sequence[Model] = ()

    @property
    def events(self) -> list[tuple[str, Mapping[str, Any]]]:
        """What is told, in its order."""
        earlier: list[tuple[str, Mapping[str, Any]]] = [(self.after.event, self.after.data)] if self.after else []
        return [*earlier, (self.event, self.data)] if self.event else earlier

    @property
    def seen(self) -> dict[str, Any]:
        """What must still hold of the job."""
        return {"id": self.job.pk, "status": self.job.status, "version": self.job.version}

    @property
    def version(self) -> int:
        """The job's version after it."""
        return self.job.version + max(1, len(self.events))

    @property
    def written(self) -> dict[str, Any]:
        """All columns that change but the version; raises NotAllowedError for a step that there is not."""
        columns = {**(self.after.columns if self.after else {}), **self.columns}
        if not self.to:
            return columns
        if self.to not in FOLLOWS[self.job.status]:
            raise NotAllowedError(f"{self.job.id}: {self.job.status} is not followed by {self.to}")
        return columns | {"status": self.to} | (_emptied(self.job) if self.to in ENDED else {})


def change_all(changes: Sequence[Change]) -> list[bool]:
    """Makes changes of different jobs in the caller's transaction; of each whether it was made.

    One whose job changed meanwhile writes nothing. The other jobs at hand are kept up to date. Raises NotAllowedError,
    before anything is written, for a step that there is not, and TransactionManagementError outside of a transaction.
    """
    if not transaction.get_connection().in_atomic_block:
        raise transaction.TransactionManagementError("A job changes in a transaction, with its event and its money.")
    written = [change.written for change in changes]
    news = [{**columns, "version": change.version} for change, columns in zip(changes, written, strict=True)]
    made = sql.update_each(Job, [(columns, change.seen) for change, columns in zip(changes, news, strict=True)])
    told = [_made(change, columns) for change, columns, count in zip(changes, news, made, strict=True) if count]
    sql.insert_each(told)
    return [bool(count) for count in made]


def _made(change: Change, columns: Mapping[str, Any]) -> list[Model]:
    """Brings the job at hand up to date; the rows that are written with its change."""
    job, told = change.job, []
    first = job.version + 1
    for name, value in columns.items():
        setattr(job, name, value)
    for number, (kind, said) in enumerate(change.events, first):
        told += _told(job, kind, said, number=number)
    return [*told, *change.rows]


def move(
    job: Job,
    to: str,
    *,
    event: str = "",
    data: dict[str, Any] | None = None,
    after: Earlier | None = None,
    rows: Sequence[Model] = (),
    **columns: Any,
) -> bool:
    """Moves a job to another status in the caller's transaction; False, and nothing written, if it changed meanwhile.

    `event` names the event that tells of it, `columns` what else changes with it, `after` what is told before, `rows`
    are new ones that are written with it. The job at hand is kept up to date.
    """
    return change_all([Change(job, to, columns, event, data or {}, after, rows)])[0]


def _emptied(job: Job) -> dict[str, Any]:
    """What must not outlive a job: nothing more is asked of any provider for it."""
    columns: dict[str, Any] = {}
    if job.own_key:
        columns["own_key"] = ""
    if job.secret_fields:
        columns["input"] = with_hidden(job.input, job.secret_fields)
    if job.has_spare:
        columns |= {"fallback": without_columns(job.fallback), "has_spare": False}
    return columns


def touch(
    job: Job,
    *,
    event: str = "",
    data: dict[str, Any] | None = None,
    after: Earlier | None = None,
    rows: Sequence[Model] = (),
    **columns: Any,
) -> bool:
    """Changes what is no status of a job, under the same condition."""
    return change_all([Change(job, "", columns, event, data or {}, after, rows)])[0]


def told_queued(job: Job) -> list[Model]:
    """The first event and its news, to be written in the transaction that makes the job."""
    return _told(job, "job_queued", {}, number=job.version)


def told_answered(job: Job) -> list[Model]:
    """All events of a job that had its answer when it came, for the transaction that makes it."""
    return [
        *_told(job, "job_queued", {}, number=1),
        *_told(job, "job_succeeded", {"cached": True}, number=job.version),
    ]


def tell_all_queued(jobs: Sequence[Job]) -> None:
    """The first events of many jobs."""
    now = timezone.now()
    told = [
        (_event(job, "job_queued", {}, job.version, now), _news(job, "job_queued", job.version, now)) for job in jobs
    ]
    JobEvent.objects.bulk_create([event for event, _ in told])
    OutboxEvent.objects.bulk_create([news for _, news in told])


def _told(job: Job, kind: str, data: Mapping[str, Any], *, number: int) -> list[Model]:
    now = timezone.now()
    return [_event(job, kind, data, number, now), _news(job, kind, number, now)]


def _event(job: Job, kind: str, data: Mapping[str, Any], number: int, now: datetime) -> JobEvent:
    return JobEvent(job_id=job.pk, number=number, kind=kind, at=now, data={**data, **mark_of(is_test=is_test(job))})


def _news(job: Job, kind: str, number: int, now: datetime) -> OutboxEvent:
    return OutboxEvent(
        kind=kind.replace("_", ".", 1),
        subject=job.pk,
        client_id=job.client_id,
        payload={"job": job.pk, "number": number} | mark_of(is_test=is_test(job)),
        created_at=now,
        # Progress is for whoever watches; no webhook tells it.
        delivered_at=now if kind == "job_progress" else None,
    )
