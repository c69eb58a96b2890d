"""Usage in sums: what jobs were charged and cost by day, month, model, category, key, client or outcome."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.db.models import BigIntegerField, Count, DateField, F, OuterRef, Q, QuerySet, Subquery, Sum, Value
from django.db.models.functions import Coalesce, TruncDate, TruncMonth

from pricing.models import LedgerTransaction, UsageOfTest, UsageRecord
from pricing.usage.days import day_starts

MOST_DAYS = 400
MOST_GROUPS = 100_000
# What a job's money did after its end: rows of the ledger beside the settlement that the record tells of.
_AFTER = (
    LedgerTransaction.Kind.CORRECTION,
    LedgerTransaction.Kind.REFUND,
    LedgerTransaction.Kind.WRITE_OFF,
)
# By what usage can be summed: the columns that each shows, and how to find them.
GROUPS: dict[str, dict[str, Any]] = {
    "day": {},
    "month": {},
    "model": {"provider": F("model__provider__slug"), "model_name": F("model__endpoint_id")},
    "category": {"of_category": F("model__category")},
    "key": {"of_key": F("key__digest"), "key_prefix": F("key__prefix"), "key_name": F("key__name")},
    "client": {"client_name": F("client__name")},
    "outcome": {},
}

# What a line says of itself for each of them.
COLUMNS: dict[str, tuple[str, ...]] = {
    "day": ("day",),
    "month": ("month",),
    "model": ("model", "provider"),
    "category": ("category",),
    "key": ("key", "key_prefix", "key_name"),
    "client": ("client",),
    "outcome": ("outcome",),
}


@dataclass(frozen=True, slots=True)
class Question:
    """Days `first` to `last`, both included, by the clock of `timezone`; of one client, or of all (None).

    `of_tests`: the client is the test side of one.
    """

    client_id: int | None
    first: date
    last: date
    timezone: str
    group_by: tuple[str, ...]
    of_tests: bool = False


@dataclass(frozen=True, slots=True)
class Sums:
    """Jobs by outcome, and amounts in nano-USD with what bills and people corrected later."""

    jobs: int
    succeeded: int
    failed: int
    canceled: int
    charge: int
    cost: int


@dataclass(frozen=True, slots=True)
class Group:
    """One line: what it is of (by the names of the question), and its sums."""

    of: dict[str, Any]
    sums: Sums


def groups_of(asked: Question, *, offset: int = 0, limit: int = MOST_GROUPS) -> list[Group]:
    """The lines of an answer in the order of what they are of, `limit` of them from `offset` on."""
    columns = _columns(asked)
    rows = _jobs(asked).annotate(**columns).values(*_names(asked.group_by)).annotate(**_sums())
    rows = rows.order_by(*_names(asked.group_by))[offset : offset + limit]
    return [Group(_of(row, asked.group_by), _read(row)) for row in rows]


def total_of(asked: Question) -> Sums:
    """The sums over all lines."""
    return _read(_jobs(asked).aggregate(**_sums()))


def _jobs(asked: Question) -> QuerySet[Any]:
    """The jobs that ended in these days. A correction counts on the day of its job, however late it comes."""
    start, end = day_starts(asked.first, asked.timezone), day_starts(asked.last + timedelta(days=1), asked.timezone)
    rows: QuerySet[Any] = (UsageOfTest if asked.of_tests else UsageRecord).objects.order_by()
    rows = rows.filter(created_at__gte=start, created_at__lt=end)
    if asked.client_id is not None:
        rows = rows.filter(client_id=asked.client_id)
    return rows.annotate(later_charge=_later("spent"), later_cost=_later("cost"))


def _later(column: str) -> Coalesce:
    after = LedgerTransaction.objects.filter(job=OuterRef("job"), kind__in=_AFTER).order_by().values("job")
    total = Subquery(after.annotate(total=Sum(column)).values("total"), output_field=BigIntegerField())
    return Coalesce(total, Value(0))


def _sums() -> dict[str, Any]:
    outcomes = {name: Count("pk", filter=Q(outcome=name)) for name in UsageRecord.Outcome.values}
    return {
        "jobs": Count("pk"),
        **outcomes,
        "total_charge": Coalesce(Sum(F("charge") + F("later_charge")), Value(0), output_field=BigIntegerField()),
        "total_cost": Coalesce(Sum(F("cost") + F("later_cost")), Value(0), output_field=BigIntegerField()),
    }


def _read(row: dict[str, Any]) -> Sums:
    counts = (row["jobs"], row["succeeded"], row["failed"], row["canceled"])
    return Sums(*counts, charge=int(row["total_charge"]), cost=int(row["total_cost"]))


def _columns(asked: Question) -> dict[str, Any]:
    zone = ZoneInfo(asked.timezone)
    clocks: dict[str, Any] = {
        "day": TruncDate("created_at", tzinfo=zone),
        "month": TruncMonth("created_at", output_field=DateField(), tzinfo=zone),
    }
    found = {name: clocks[name] for name in asked.group_by if name in clocks}
    for name in asked.group_by:
        found |= GROUPS[name]
    return found


def _names(group_by: Sequence[str]) -> list[str]:
    return [column for name in group_by for column in (GROUPS[name] or {name: None})]


def _of(row: dict[str, Any], group_by: Sequence[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in group_by:
        if name == "day":
            found["day"] = row["day"].isoformat()
        elif name == "month":
            found["month"] = f"{row['month']:%Y-%m}"
        elif name == "model":
            found |= {"model": row["model_name"], "provider": row["provider"]}
        elif name == "key":
            # A job without a key was not asked for over the API.
            found["key"] = row["of_key"] and f"key_{row['of_key'][:16]}"
            found |= {"key_prefix": row["key_prefix"], "key_name": row["key_name"]}
        elif name == "category":
            found["category"] = row["of_category"]
        elif name == "client":
            found["client"] = row["client_name"]
        else:
            found["outcome"] = row["outcome"]
    return found
