"""Rolling usage up, incrementally: the days that something new belongs to are made anew, whole, from the records.

A day made anew is right whatever was there before, so a run that died, ran twice, or read a row twice does no harm.
Rows are found by their ids, and those of the last hour again by their time: a transaction that was open while the
last run read may have committed rows with lower ids than those that it saw.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime, timedelta
from typing import Any

from django.db import connection, transaction
from django.db.models import F, Max, Sum
from django.db.models.functions import TruncDate
from django.utils import timezone

from catalog.models import AIModel
from pricing.models import (
    ClientDay,
    ClientMonth,
    CountDay,
    LedgerTransaction,
    ModelDay,
    ModelMonth,
    RollupState,
    UsageRecord,
)
from pricing.models.reports import SUMS
from pricing.money import format_decimal
from pricing.reports.gathering import AFTER, Cell, Job, add, count_names, jobs_of, of_days
from pricing.usage.days import next_month

OVERLAP = timedelta(hours=1)
DAYS: tuple[Any, ...] = (ModelDay, ClientDay, CountDay)
MONTHS: tuple[Any, ...] = (ModelMonth, ClientMonth)
Progress = Callable[[date], None]


def roll_up(*, now: datetime | None = None, told: Progress | None = None) -> int:
    """Brings the rollups up to date; returns how many days were made anew. `told` hears of each."""
    now = now or timezone.now()
    state = _state()
    newest = {
        "usage_id": UsageRecord.objects.aggregate(last=Max("pk"))["last"] or 0,
        "ledger_id": LedgerTransaction.objects.aggregate(last=Max("pk"))["last"] or 0,
    }
    days = _touched(state)
    _make(days, told)
    RollupState.objects.filter(pk=1).update(read_until=now, **newest)
    return len(days)


def rebuild(*, now: datetime | None = None, told: Progress | None = None) -> int:
    """Makes every rollup anew from usage records and ledger; returns how many days there are.

    Reports stay readable meanwhile: each day and month is replaced in a transaction of its own.
    """
    _state()
    RollupState.objects.filter(pk=1).update(usage_id=0, ledger_id=0, read_until=None)
    days = _days_of(UsageRecord.objects.all())
    months = {day.replace(day=1) for day in days}
    for grain in DAYS:
        # What no record stands behind any more.
        grain._default_manager.exclude(start__in=days).delete()
    for grain in MONTHS:
        grain._default_manager.exclude(start__in=months).delete()
    return roll_up(now=now, told=told)


def rolled_until() -> datetime | None:
    """Until when reports tell everything; None before the first run."""
    return RollupState.objects.filter(pk=1).values_list("read_until", flat=True).first()


def _state() -> RollupState:
    return RollupState.objects.get_or_create(pk=1)[0]


def _touched(state: RollupState) -> list[date]:
    """The days of new records, and those of jobs that the ledger tells something new of."""
    records = UsageRecord.objects.filter(pk__gt=state.usage_id)
    later = LedgerTransaction.objects.filter(kind__in=AFTER).exclude(job="").order_by()
    found = _days_of(records) | _days_of_jobs(later.filter(pk__gt=state.ledger_id))
    if state.read_until is not None:
        since = state.read_until - OVERLAP
        found |= _days_of(UsageRecord.objects.filter(created_at__gte=since))
        found |= _days_of_jobs(later.filter(at__gte=since))
    return sorted(found)


def _days_of(records: Any) -> set[date]:
    return set(
        records.order_by().annotate(day=TruncDate("created_at", tzinfo=UTC)).values_list("day", flat=True).distinct()
    )


def _days_of_jobs(rows: Any) -> set[date]:
    return _days_of(UsageRecord.objects.filter(job__in=rows.values("job")))


def _make(days: Iterable[date], told: Progress | None) -> None:
    models = {
        key: (provider, category)
        for key, provider, category in AIModel.objects.values_list("pk", "provider__slug", "category")
    }
    months = set()
    for day in days:
        with transaction.atomic():
            RollupState.objects.select_for_update().get(pk=1)
            _make_day(day, models)
        months.add(day.replace(day=1))
        if told:
            told(day)
    for month in sorted(months):
        with transaction.atomic():
            RollupState.objects.select_for_update().get(pk=1)
            _make_month(ModelDay, ModelMonth, "model_id", month)
            _make_month(ClientDay, ClientMonth, "client_id", month)


def _make_day(day: date, models: dict[int, tuple[str, str]]) -> None:
    by_model: dict[int, Cell] = {}
    by_client: dict[int | None, Cell] = {}
    groups: dict[tuple[str, str], list[Job]] = {}
    for job in jobs_of(of_days(day, day)):
        add(by_model.setdefault(job.model_id, Cell()), job)
        add(by_client.setdefault(job.client_id, Cell()), job)
        groups.setdefault(models.get(job.model_id, ("", "")), []).append(job)
    for grain in DAYS:
        grain._default_manager.filter(start=day).delete()
    _insert(
        ModelDay,
        ("start", "model_id", "units", *SUMS),
        ([day, key, _units(cell), *cell.sums.values()] for key, cell in by_model.items()),
    )
    _insert(
        ClientDay, ("start", "client_id", *SUMS), ([day, key, *cell.sums.values()] for key, cell in by_client.items())
    )
    _insert(
        CountDay,
        ("start", "provider", "category", "kind", "name", "jobs"),
        (
            [day, *group, kind, name, count]
            for group, jobs in groups.items()
            for (kind, name), count in count_names(jobs).items()
        ),
    )


def _make_month(source: Any, target: Any, key: str, month: date) -> None:
    days = source.objects.filter(start__gte=month, start__lt=next_month(month)).order_by()
    rows = days.values_list(key).annotate(**{f"sum_{name}": Sum(F(name)) for name in SUMS})
    target.objects.filter(start=month).delete()
    _insert(target, ("start", key, *SUMS), ([month, *(None if v is None else int(v) for v in row)] for row in rows))


def _units(cell: Cell) -> str:
    return json.dumps({unit: format_decimal(number) for unit, number in sorted(cell.units.items())})


def _insert(grain: Any, columns: tuple[str, ...], rows: Iterable[list[Any]]) -> None:
    """Written out: thousands of rows of forty columns take the ORM ten times as long."""
    adapt = connection.ops.adapt_datefield_value
    table, places = grain._meta.db_table, ", ".join(["%s"] * len(columns))
    adapted = [[adapt(row[0]), *row[1:]] for row in rows]
    if adapted:
        with connection.cursor() as cursor:
            cursor.executemany(f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({places})", adapted)  # noqa: S608
