"""Jobs with their money as it is now, as SQL: usage records, and what the ledger says of their jobs later.

The one place where sums begin. Everything is added up by the database; the statements say the same to SQLite and
PostgreSQL, and what differs between the two stands at the end.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any

from django.db import connection

from pricing.models import LedgerTransaction
from pricing.models.reports import BOUNDS, BUCKETS, SUMS
from pricing.money import format_decimal

Kind = LedgerTransaction.Kind
AFTER = (Kind.CORRECTION, Kind.REFUND, Kind.WRITE_OFF)
_NAME_LENGTH = 100
_KINDS = ", ".join(f"'{kind}'" for kind in AFTER)
# The condition of the index `ledger_later`, word by word, or it would not be used.
_LATER = f"(l.kind IN ({_KINDS}) OR NOT (l.loss = 0))"


def _later(amount: str) -> str:
    return f"COALESCE((SELECT SUM({amount}) FROM pricing_ledgertransaction l WHERE l.job = r.job AND {_LATER}), 0)"  # noqa: S608


_SPENT = _later(f"CASE WHEN l.kind IN ({_KINDS}) THEN l.spent ELSE 0 END")
_COST = _later(f"CASE WHEN l.kind IN ({_KINDS}) THEN l.cost ELSE 0 END")
_REFUNDS = _later("CASE WHEN l.kind = 'refund' THEN -l.spent ELSE 0 END")
_WRITE_OFFS = _later("CASE WHEN l.kind = 'write_off' THEN l.cost ELSE 0 END")
_LOSS = _later("l.loss")
# A latency falls into the first bucket whose bound is not below it. An answer from the store says nothing about it.
_BUCKET = "CASE {} ELSE {} END".format(
    " ".join(f"WHEN r.seconds <= {bound!r} THEN {number}" for number, bound in enumerate(BOUNDS)), len(BOUNDS)
)
_TIMED = "r.seconds IS NOT NULL AND NOT r.is_cached"
_COMPARABLE = "r.outcome = 'succeeded' AND NOT r.is_cached AND r.cost_source IN ('billing_event', 'billable_units')"
# Column, its type in a temporary table, and what it is. `quoted` is the estimate where it can be held against a bill.
JOB = (
    ("model_id", "bigint", "r.model_id"),
    ("client_id", "bigint", "r.client_id"),
    ("provider", "varchar(50)", "p.slug"),
    ("category", "varchar(80)", "m.category"),
    ("outcome", "varchar(10)", "r.outcome"),
    ("error", "varchar(40)", "CASE WHEN r.outcome = 'failed' THEN r.error_code ELSE '' END"),
    ("is_cached", "bool", "r.is_cached"),
    ("revenue", "bigint", f"r.charge + {_SPENT}"),
    ("cost", "bigint", f"r.cost + {_COST}"),
    ("refunds", "bigint", _REFUNDS),
    ("write_offs", "bigint", _WRITE_OFFS),
    ("loss", "bigint", _LOSS),
    ("quoted", "bigint", f"CASE WHEN {_COMPARABLE} THEN r.quoted_cost END"),
    ("milliseconds", "bigint", f"CASE WHEN {_TIMED} THEN CAST(FLOOR(1000 * r.seconds + 0.5) AS bigint) END"),
    ("bucket", "int", f"CASE WHEN {_TIMED} THEN {_BUCKET} END"),
    ("unit", "varchar(60)", "CASE WHEN r.unit = '' THEN '-' ELSE r.unit END"),
    ("units", "varchar(40)", "r.units"),
    ("features", "{json}", "r.features"),
)
_ADDED = {
    "jobs": "COUNT(*)",
    **{name: f"COUNT(*) FILTER (WHERE outcome = '{name}')" for name in ("succeeded", "failed", "canceled")},
    "cached": "COUNT(*) FILTER (WHERE is_cached)",
    **{name: f"SUM({name})" for name in ("revenue", "cost", "refunds", "write_offs", "loss")},
    "quoted_jobs": "COUNT(quoted)",
    "quoted_cost": "COALESCE(SUM(quoted), 0)",
    "quoted_bill": "COALESCE(SUM(cost) FILTER (WHERE quoted IS NOT NULL), 0)",
    "quoted_off": "COALESCE(SUM(ABS(cost - quoted)), 0)",
    "timed": "COUNT(milliseconds)",
    "milliseconds": "COALESCE(SUM(milliseconds), 0)",
    **{name: f"COUNT(*) FILTER (WHERE bucket = {number})" for number, name in enumerate(BUCKETS)},
}


def added(sums: Iterable[str] = SUMS) -> str:
    """What adds jobs up to these columns of a rollup."""
    return ", ".join(_ADDED[name] for name in sums)


def jobs_sql(where: str, columns: Iterable[str] | None = None, *, day: bool = False) -> str:
    """A SELECT of jobs as they are now; `where` speaks of the record `r`, its model `m` and provider `p`.

    `day` adds a column `start`: the day (UTC).
    """
    wanted = {name for name, _, _ in JOB} if columns is None else set(columns)
    parts = [f"{what} AS {name}" for name, _, what in JOB if name in wanted]
    chosen = ", ".join([*parts, f"{record_day()} AS start"] if day else parts or ["1"])
    return (
        f"SELECT {chosen} FROM pricing_usagerecord r JOIN catalog_aimodel m ON m.id = r.model_id "  # noqa: S608
        f"JOIN catalog_provider p ON p.id = m.provider_id WHERE {where}"
    )


def between(first: date, last: date) -> tuple[str, list[Any]]:
    """The condition, and its values, that records ended in these days (UTC), both included."""
    return "r.created_at >= %s AND r.created_at < %s", [moment(first), moment(last + timedelta(days=1))]


def moment(day: date) -> datetime:
    """The first moment of a day in UTC."""
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def names_of(rows: Iterable[tuple[str, str, int]]) -> Counter[tuple[str, str]]:
    """How many jobs have which (kind, name), from (error of a failed job, features as JSON, number of such jobs)."""
    counts: Counter[tuple[str, str]] = Counter()
    for error, features, jobs in rows:
        if error:
            counts["error", error] += jobs
        for name in features_used(features):
            counts["feature", name] += jobs
    return counts


@lru_cache(maxsize=10_000)
def features_used(features: str) -> tuple[str, ...]:
    """The features of a job, JSON, as names to count: `resolution=1080p`, `audio`, `duration=5`, `image_size=2×3`."""
    return tuple(dict.fromkeys(_names(json.loads(features))))


def _names(features: dict[str, Any]) -> Iterator[str]:
    for name, value in features.items():
        if isinstance(value, bool):
            if value:
                yield name[:_NAME_LENGTH]
        elif isinstance(value, dict):
            yield f"{name}={value.get('width')}×{value.get('height')}"[:_NAME_LENGTH]
        elif isinstance(value, str | int | float):
            yield f"{name}={value}"[:_NAME_LENGTH]


# --- what differs between the databases ---


def is_postgres() -> bool:
    return connection.vendor == "postgresql"


def record_day() -> str:
    """The day (UTC) of the record `r`."""
    return "CAST(r.created_at AT TIME ZONE 'UTC' AS date)" if is_postgres() else "SUBSTR(r.created_at, 1, 10)"


def as_text(column: str) -> str:
    """A column of JSON as text."""
    return f"CAST({column} AS text)" if is_postgres() else column


def exact_sum(column: str) -> str:
    """The exact sum of a column of decimals written out, in the same canonical form."""
    return f"CAST(TRIM_SCALE(SUM(CAST({column} AS numeric))) AS text)" if is_postgres() else f"decimal_sum({column})"


def as_object(key: str, value: str) -> str:
    """Rows of a group as one JSON object."""
    return f"{'jsonb_object_agg' if is_postgres() else 'json_group_object'}({key}, {value})"


def members(column: str) -> str:
    """A JSON object's members as rows `(key, value)`."""
    return f"jsonb_each_text({column})" if is_postgres() else f"json_each({column})"


def prepare() -> None:
    """Teaches SQLite, which has no decimals, to add them up."""
    connection.ensure_connection()
    if not is_postgres():
        connection.connection.create_aggregate("decimal_sum", 1, _DecimalSum)


class _DecimalSum:
    def __init__(self) -> None:
        self.sum = Decimal(0)

    def step(self, value: str) -> None:
        self.sum += Decimal(value)

    def finalize(self) -> str:
        return format_decimal(self.sum)
