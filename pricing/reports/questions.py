"""What a report is asked: which days, and of what."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, date, timedelta

from django.utils import timezone

from pricing.usage.days import next_month

GROUPS = ("model", "client", "category", "provider", "day")
_ONE_DAY = timedelta(days=1)
# Longer periods are told by months.
MOST_DAYS_SINGLY = 92
MOST_DAYS = 1100
FEW = ("jobs", "succeeded", "failed", "revenue", "cost")


@dataclass(frozen=True, slots=True)
class Question:
    """Days `first` to `last` (UTC, both included), of everything or of what the filters leave."""

    first: date
    last: date
    provider: str = ""
    category: str = ""
    model_id: int | None = None
    client_id: int | None = None

    @property
    def days(self) -> int:
        return (self.last - self.first).days + 1

    @property
    def before(self) -> Question:
        """The same number of days just before."""
        return replace(self, first=self.first - timedelta(days=self.days), last=self.first - _ONE_DAY)

    @property
    def by_months(self) -> bool:
        """Whether its course is told by months."""
        return self.days > MOST_DAYS_SINGLY

    def spans(self, *, months_before: date | None = None) -> tuple[tuple[date, date] | None, list[tuple[date, date]]]:
        """The whole months among its days, first and last day of them, and the spans of days before and after.

        `months_before`: only months before this one are kept; otherwise the month that we are in is whole as far as
        there is anything, as nothing ends in the future.
        """
        begin = self.first if self.first.day == 1 else next_month(self.first.replace(day=1))
        after = self.last + _ONE_DAY
        end = after.replace(day=1)
        if months_before is not None:
            end = min(end, months_before)
        elif self.last >= today():
            end = next_month(self.last.replace(day=1))
        if begin >= end:
            return None, [(self.first, self.last)]
        edges = [(self.first, begin - _ONE_DAY)] if self.first < begin else []
        edges += [(end, self.last)] if end < after else []
        return (begin, end - _ONE_DAY), edges


def today() -> date:
    """The day in UTC."""
    return timezone.now().astimezone(UTC).date()
