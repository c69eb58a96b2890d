"""When a budget's period begins and ends, by the client's clock: days of 23 and 25 hours, months of any length."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from pricing.models import Budget

# Where a budget without an end began: any moment that is before all of them.
BEGINNING = datetime(2000, 1, 1, tzinfo=UTC)


def period_at(period: str, moment: datetime, timezone: str) -> tuple[datetime, datetime | None]:
    """First moment, and first moment after it (None: never), of the period that `moment` falls into; both in UTC."""
    if period == Budget.Period.TOTAL:
        return BEGINNING, None
    zone = ZoneInfo(timezone)
    today = moment.astimezone(zone).date()
    if period == Budget.Period.DAY:
        return midnight(today, zone), midnight(today + timedelta(days=1), zone)
    first = today.replace(day=1)
    following = (first + timedelta(days=32)).replace(day=1)
    return midnight(first, zone), midnight(following, zone)


def midnight(day: date, zone: ZoneInfo) -> datetime:
    """The first moment of a day, in UTC. Where clocks skip midnight, it is the moment of the skip."""
    local = datetime(day.year, day.month, day.day, tzinfo=zone)
    moment = local.astimezone(UTC)
    if moment.astimezone(zone).replace(tzinfo=None) != local.replace(tzinfo=None):
        # There is no such local time: with the offset before the skip, this is the skip itself.
        return (local.replace(tzinfo=None) - (local - timedelta(hours=3)).utcoffset()).replace(tzinfo=UTC)  # type: ignore[operator]
    return moment
