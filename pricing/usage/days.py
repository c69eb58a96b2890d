"""Days and months by somebody's clock, as moments: of 23 and 25 hours, of any length."""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from pricing.budgets.periods import midnight

# Before it there was nothing to sell; after it, arithmetic of dates comes to its end.
FIRST, LAST = date(2000, 1, 1), date(2200, 12, 31)
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_MONTH = re.compile(r"\d{4}-\d{2}", re.ASCII)


class BadDayError(ValueError):
    """No day or month, or one that is out of bounds; the message says what to write."""


def read_day(text: str) -> date:
    """`2026-11-25`; raises BadDayError."""
    try:
        day = date.fromisoformat(text) if _DAY.fullmatch(text) else None
    except ValueError:
        day = None
    if day is None or not FIRST <= day <= LAST:
        raise BadDayError(f"{text[:40]!r} is no day from {FIRST} to {LAST}; write it as 2026-11-25.")
    return day


def read_month(text: str) -> date:
    """The first day of `2026-11`; raises BadDayError."""
    if not _MONTH.fullmatch(text):
        raise BadDayError(f"{text[:40]!r} is no month; write it as 2026-11.")
    return read_day(f"{text}-01")


def day_starts(day: date, timezone: str) -> datetime:
    """The first moment of a day by a clock, in UTC."""
    return midnight(day, ZoneInfo(timezone))


def local_day(moment: datetime, timezone: str) -> date:
    """The day that a moment falls into by a clock."""
    return moment.astimezone(ZoneInfo(timezone)).date()


def next_month(first: date) -> date:
    """The first day of the month after."""
    return (first + timedelta(days=32)).replace(day=1)
