"""Rolling usage up, incrementally: the days that something new belongs to are made anew, whole, from the records.

A day made anew is right whatever was there before, so a run that died, ran twice, or read a row twice does no harm.
Rows are found by their ids, and those of the last hour again by their time: a transaction that was open while the
last run read may have committed rows with lower ids than those that it saw.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import F, Max
from django.utils import timezone

from pricing.models import LedgerTransaction, ModelDay, ModelMonth, RollupState, UsageRecord
from pricing.reports.gathering import AFTER, record_day
from pricing.reports.making import DAYS, MONTHS, begin, end, make_crossed, make_day, make_month
from pricing.sql import rows
from pricing.usage.days import next_month, read_day

OVERLAP = timedelta(hours=1)
Progress = Callable[[date], None]


def roll_up(*, now: datetime | None = None, told: Progress | None = None) -> int:
    """Brings the rollups up to date; returns how many days were made anew. `told` hears of each."""
    return _roll_up(_touched, now or timezone.now(), told)


def rebuild(*, now: datetime | None = None, told: Progress | None = None) -> int:
    """Makes every rollup anew from usage records and ledger; returns how many days there are.

    Reports stay readable meanwhile: each day and month is replaced in a transaction of its own.
    """

    def all_of_them(_state: RollupState) -> list[date]:
        days = sorted(_days("true"))
        months = {day.replace(day=1) for day in days}
        for grain in DAYS:
            # What no record stands behind any more.
            grain._default_manager.exclude(start__in=days).delete()
        for grain in MONTHS:
            grain._default_manager.exclude(start__in=months).delete()
        return days

    return _roll_up(all_of_them, now or timezone.now(), told)


def rolled_until() -> datetime | None:
    """Until when reports tell everything; None before the first run."""
    return RollupState.objects.filter(pk=1).values_list("read_until", flat=True).first()


def crossed_until() -> date | None:
    """The month before which each month has its pairs of model and client; None: none has."""
    return RollupState.objects.filter(pk=1).values_list("crossed_until", flat=True).first()


def _roll_up(days_of: Callable[[RollupState], list[date]], now: datetime, told: Progress | None) -> int:
    state = RollupState.objects.get_or_create(pk=1)[0]
    # Read before the days are: what comes in meanwhile is new the next time.
    newest = {
        "usage_id": UsageRecord.objects.aggregate(last=Max("pk"))["last"] or 0,
        "ledger_id": LedgerTransaction.objects.aggregate(last=Max("pk"))["last"] or 0,
    }
    days = days_of(state)
    this_month = now.astimezone(UTC).date().replace(day=1)
    months = sorted({day.replace(day=1) for day in days})
    over = {month for month in months if month < this_month} | _just_over(state, this_month)
    begin()
    try:
        for day in days:
            with _alone():
                make_day(day)
            if told:
                told(day)
        for month in months:
            with _alone():
                make_month(month)
        for month in sorted(over):
            make_crossed(month, _alone)
    finally:
        end()
    RollupState.objects.filter(pk=1).update(read_until=now, crossed_until=this_month, **newest)
    return len(days)


@contextmanager
def _alone() -> Iterator[None]:
    """A transaction that no other run is in."""
    with transaction.atomic():
        RollupState.objects.select_for_update().get(pk=1)
        yield


def _just_over(state: RollupState, this_month: date) -> set[date]:
    """The months that ended since the last run."""
    month, found = state.crossed_until, set()
    while month is not None and month < this_month:
        found.add(month)
        month = next_month(month)
    return found


def _touched(state: RollupState) -> list[date]:
    """The days of new records, of jobs that the ledger tells something new of, and of models in another category."""
    kinds = ", ".join(["%s"] * len(AFTER))
    later = f"r.job IN (SELECT l.job FROM pricing_ledgertransaction l WHERE l.kind IN ({kinds}) AND l."  # noqa: S608
    found = _days("r.id > %s", state.usage_id) | _days(f"{later}id > %s)", *AFTER, state.ledger_id)
    if state.read_until is not None:
        since = state.read_until - OVERLAP
        found |= _days("r.created_at >= %s", since) | _days(f"{later}at >= %s)", *AFTER, since)
    moved = ModelMonth.objects.exclude(category=F("model__category")).values_list("model_id", "start")
    for model, month in moved:
        span = {"start__gte": month, "start__lt": next_month(month)}
        found |= set(ModelDay.objects.filter(model=model, **span).values_list("start", flat=True))
    return sorted(found)


def _days(condition: str, *values: Any) -> set[date]:
    """The days of some records `r`."""
    found = rows(f"SELECT DISTINCT {record_day()} FROM pricing_usagerecord r WHERE {condition}", *values)  # noqa: S608
    return {read_day(str(day)) for (day,) in found}
