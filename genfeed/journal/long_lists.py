"""Pages of lists of a million rows, newest first: never an exact count over all, never a sort of all.

A database that has an index on a filter may take all the rows that it leaves and sort them. So the newest are looked
for in a window of time that grows until a page is full: within a window, any plan is a cheap one.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from django.contrib.admin.views.main import ChangeList
from django.core.paginator import Page, Paginator
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.functional import cached_property

MOST_PAGED = 10_000
_WINDOWS = tuple(timedelta(hours=hours) for hours in (1, 8, 64, 512, 4096))
Since = Callable[[datetime], Q]


def newest(
    rows: QuerySet[Any], most: int, *, since: Since, first: datetime | None = None, until: datetime | None = None
) -> list[Any]:
    """Primary keys of the newest rows, in the order of `rows`, at most `most` of them.

    `since` makes a condition from a moment; `first`: only rows since then, which is not to be said in `rows` too, as a
    database may go by the wider of two bounds; `until`: the rows are known to be older than this.
    """
    end = min(until or timezone.now(), timezone.now())
    for window in _WINDOWS:
        if first is not None and end - window <= first:
            break
        keys = list(rows.filter(since(end - window)).values_list("pk", flat=True)[:most])
        if len(keys) == most:
            return keys
    whole = rows if first is None else rows.filter(since(first))
    return list(whole.values_list("pk", flat=True)[:most])


class NewestFirst(Paginator):
    """Counts no further than to the row after the page that is asked for, so that there may be a next one."""

    def __init__(self, rows: Any, per_page: int, *, number: int, **bounds: Any) -> None:
        super().__init__(rows, per_page)
        self.number, self.bounds = number, bounds

    @cached_property
    def _keys(self) -> list[Any]:
        most = min(self.number * self.per_page + 1, MOST_PAGED)
        return newest(self.object_list, most, **self.bounds)  # type: ignore[arg-type]

    @cached_property
    def count(self) -> int:
        return len(self._keys)

    def page(self, number: Any) -> Page:
        number = self.validate_number(number)
        keys = self._keys[(number - 1) * self.per_page : number * self.per_page]
        rows: Any = self.object_list
        return Page(rows.filter(pk__in=keys), number, self)


class LongList(ChangeList):
    """A list of the admin that takes its rows from its paginator, also where they all fit on one page."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        if not self.multi_page:
            self.result_list = self.paginator.page(1).object_list


def page_number(text: str | None) -> int:
    """The number of the page that an address asks for; 1 where that can't be."""
    digits = (text or "1")[:6]
    return max(int(digits), 1) if digits.isdecimal() else 1
