"""How the queue stands: what waits, what runs, for whom, and whether the providers' gates let work through.

Every figure counts open jobs only, which have an index of their own, or the jobs of today, which are a range of ids.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Count, Min, Q, QuerySet
from django.utils import timezone

from catalog.providers import queue
from jobs.dispatching.gate import FAILURES
from jobs.ids import first_id
from jobs.models import IN_FLIGHT, OPEN, Job, ProviderGate, Status
from jobs.testmode.mode import GATE, TEST

_CLIENTS = 50


@dataclass(frozen=True, slots=True)
class Gate:
    """A provider's circuit breaker: `state` is closed, failing, open or trying."""

    provider: str
    state: str
    failures: int
    reason: str
    opens_in: int | None


def _live() -> QuerySet[Job]:
    """All jobs but test jobs, which no figure here counts."""
    return Job.objects.exclude(account=TEST)


def open_counts() -> dict[str, int]:
    """Open jobs by status, each status named."""
    found = dict(_live().filter(status__in=OPEN).order_by().values_list("status").annotate(n=Count("pk")))
    return {str(status): found.get(str(status), 0) for status in OPEN}


def oldest_queued() -> datetime | None:
    """When the job that waits longest was accepted."""
    return _live().filter(status=Status.QUEUED).aggregate(at=Min("created_at"))["at"]


def by_client() -> list[dict[str, Any]]:
    """The clients with the most open jobs: name, how many wait and are in flight, and since when the oldest waits."""
    rows = (
        _live()
        .filter(status__in=OPEN)
        .order_by()
        .values("client_id", "client__name")
        .annotate(
            queued=Count("pk", filter=Q(status=Status.QUEUED)),
            in_flight=Count("pk", filter=Q(status__in=IN_FLIGHT)),
            oldest=Min("created_at", filter=Q(status=Status.QUEUED)),
        )
        .order_by("-queued", "-in_flight", "client__name")
    )
    return [dict(row) for row in rows[:_CLIENTS]]


def gates(*, now: datetime | None = None) -> list[Gate]:
    """The gate of every provider that can be run, closed where nothing ever failed."""
    now = now or timezone.now()
    rows = {row.name: row for row in ProviderGate.objects.exclude(name=GATE)}
    names = sorted({*rows, *queue.runnable()})
    return [_gate(name, rows.get(name), now) for name in names]


def _gate(name: str, row: ProviderGate | None, now: datetime) -> Gate:
    if row is None or (row.failures == 0 and row.open_until is None):
        return Gate(name, "closed", 0, "", None)
    if row.open_until is not None and row.open_until > now:
        return Gate(name, "open", row.failures, row.reason, int((row.open_until - now).total_seconds()) + 1)
    return Gate(name, "failing" if row.failures < FAILURES else "trying", row.failures, row.reason, None)


def places() -> int:
    """How many requests may be at all providers together at once; those without a key count where none has one."""
    names = [name for name in queue.runnable() if queue.has_key(name)] or queue.runnable()
    return sum(queue.most_at_once(name) for name in names)


def today(*, now: datetime | None = None) -> dict[str, int]:
    """Jobs accepted since midnight UTC: `all`, and those of them that have `failed`."""
    day = (now or timezone.now()).date()
    since = _live().filter(pk__gte=first_id("job", day))
    return since.aggregate(all=Count("pk"), failed=Count("pk", filter=Q(status=Status.FAILED)))


def quarantined() -> int:
    """Jobs whose bill waits for a decision."""
    return Job.objects.exclude(quarantine="").count()
