"""Usage records and what the ledger says of their jobs later, added up under keys: the one place where sums begin."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from django.db.models import Q, QuerySet

from pricing.models import LedgerTransaction, UsageRecord
from pricing.models.reports import AMOUNTS, BOUNDS, BUCKETS

Kind = LedgerTransaction.Kind
AFTER = (Kind.CORRECTION, Kind.REFUND, Kind.WRITE_OFF)
_BILLED = (UsageRecord.CostSource.BILLING_EVENT, UsageRecord.CostSource.BILLABLE_UNITS)
_NAME_LENGTH = 100
_COLUMNS = (
    "job", "client_id", "model_id", "outcome", "error_code", "charge", "cost", "cost_source", "quoted_cost",
    "is_cached", "seconds", "unit", "units", "created_at",
)  # fmt: skip


@dataclass(slots=True)
class Job:
    """A usage record with its money as it is now, in nano-USD."""

    job: str
    client_id: int | None
    model_id: int
    outcome: str
    error_code: str
    revenue: int
    cost: int
    cost_source: str
    quoted_cost: int | None
    is_cached: bool
    seconds: float | None
    unit: str
    units: str
    at: datetime
    features: dict[str, Any] = field(default_factory=dict)
    refunds: int = 0
    write_offs: int = 0
    loss: int = 0

    @property
    def day(self) -> date:
        return self.at.astimezone(UTC).date()


@dataclass(slots=True)
class Cell:
    """Sums in the order of the rollups' columns, and units by unit."""

    sums: dict[str, int] = field(default_factory=lambda: dict.fromkeys((*AMOUNTS, *BUCKETS), 0))
    units: dict[str, Decimal] = field(default_factory=dict)


def of_days(first: date, last: date) -> QuerySet[UsageRecord]:
    """The records of jobs that ended in these days (UTC), both included."""
    start, end = moment(first), moment(last + timedelta(days=1))
    return UsageRecord.objects.filter(created_at__gte=start, created_at__lt=end).order_by()


def moment(day: date) -> datetime:
    """The first moment of a day in UTC."""
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def jobs_of(
    records: QuerySet[UsageRecord], *, with_features: bool = True, client_id: int | None = None
) -> Iterator[Job]:
    """The jobs of usage records, each with what corrections, refunds and write-offs made of it.

    `client_id`: all records are of this client; then its account is read instead of looking every job up.
    """
    # Reading the features takes as long as reading all the rest.
    columns = (*_COLUMNS, "features") if with_features else _COLUMNS
    found = {row[0]: Job(*row) for row in records.values_list(*columns).iterator(chunk_size=5000)}
    of = {"job__in": records.values("job")} if client_id is None else {"account__client": client_id}
    later = LedgerTransaction.objects.filter(**of).filter(Q(kind__in=AFTER) | ~Q(loss=0)).order_by()
    for job, kind, spent, cost, loss in later.values_list("job", "kind", "spent", "cost", "loss"):
        if (one := found.get(job)) is None:
            continue
        one.loss += loss
        if kind not in AFTER:
            # The settlement itself, whose amounts the record has.
            continue
        one.revenue += spent
        one.cost += cost
        one.refunds -= spent if kind == Kind.REFUND else 0
        one.write_offs += cost if kind == Kind.WRITE_OFF else 0
    yield from found.values()


def add(cell: Cell, job: Job) -> None:
    """Adds a job to a cell."""
    sums = cell.sums
    sums["jobs"] += 1
    sums[job.outcome] += 1
    sums["cached"] += job.is_cached
    sums["revenue"] += job.revenue
    sums["cost"] += job.cost
    sums["refunds"] += job.refunds
    sums["write_offs"] += job.write_offs
    sums["loss"] += job.loss
    if job.quoted_cost is not None and job.outcome == "succeeded" and not job.is_cached and job.cost_source in _BILLED:
        sums["quoted_jobs"] += 1
        sums["quoted_cost"] += job.quoted_cost
        sums["quoted_bill"] += job.cost
        sums["quoted_off"] += abs(job.cost - job.quoted_cost)
    # An answer from the store says nothing about how long the provider takes.
    if job.seconds is not None and not job.is_cached:
        sums["timed"] += 1
        sums["milliseconds"] += round(1000 * job.seconds)
        sums[BUCKETS[bisect_left(BOUNDS, job.seconds)]] += 1
    if job.units:
        unit = job.unit or "-"
        cell.units[unit] = cell.units.get(unit, Decimal(0)) + Decimal(job.units)


def gather[Key: Hashable](jobs: Iterable[Job], key: Callable[[Job], Key]) -> dict[Key, Cell]:
    """The cells of jobs under keys."""
    cells: dict[Key, Cell] = {}
    for job in jobs:
        add(cells.setdefault(key(job), Cell()), job)
    return cells


def features_used(job: Job) -> Iterator[str]:
    """The features of a job as names to count: `resolution=1080p`, `audio`, `duration=5`."""
    for name, value in job.features.items():
        if isinstance(value, bool):
            if value:
                yield name[:_NAME_LENGTH]
        elif isinstance(value, dict):
            yield f"{name}={value.get('width')}×{value.get('height')}"[:_NAME_LENGTH]
        elif isinstance(value, str | int | float):
            yield f"{name}={value}"[:_NAME_LENGTH]


def count_names(jobs: list[Job]) -> Counter[tuple[str, str]]:
    """How many jobs have which (kind, name): errors of those that failed, features of all."""
    counts: Counter[tuple[str, str]] = Counter()
    for job in jobs:
        if job.outcome == "failed":
            counts["error", job.error_code or "unknown"] += 1
        counts.update(("feature", name) for name in dict.fromkeys(features_used(job)))
    return counts
