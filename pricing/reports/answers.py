"""Figures of a question: by model, client, category, provider or day, under any filters."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from catalog.models import AIModel
from genfeed.clients.models import Client
from pricing.models.reports import SUMS
from pricing.reports.figures import Figures, total
from pricing.reports.questions import Question
from pricing.reports.reading import read_sums, sums_of_records

# All names are read sooner than those of so many.
_MANY = 200


@dataclass(frozen=True, slots=True)
class Group:
    """One line: what it is of, how it is called, and its figures."""

    key: Any
    name: str
    figures: Figures


def groups_of(
    asked: Question, by: str, *, sums: Sequence[str] = SUMS, only: Sequence[Any] | None = None
) -> list[Group]:
    """The figures by model, client, category, provider or day (of a long period: month).

    `only`: of models, those with these keys.
    """
    found = read_sums(asked, by, sums, only=only)
    if by == "day":
        # Each of them named, those without jobs too.
        days = (asked.first + timedelta(days=number) for number in range(asked.days))
        steps = dict.fromkeys(day.replace(day=1) if asked.by_months else day for day in days)
        found = {step: found.get(step, Figures({})) for step in steps}
    names = _names(asked, by, found)
    return [Group(key, names(key), figures) for key, figures in found.items()]


def total_of(asked: Question, *, sums: Sequence[str] = SUMS) -> Figures:
    """All of it together."""
    return total(read_sums(asked, "provider", sums).values())


def total_between(start: datetime, end: datetime, *, sums: Sequence[str] = SUMS) -> Figures:
    """All jobs that ended from a moment on and before another, added up from the records: for hours, not months."""
    return total(sums_of_records("r.created_at >= %s AND r.created_at < %s", (start, end), sums).values())


def _names(asked: Question, by: str, found: Iterable[Any]) -> Callable[[Any], str]:
    names: dict[Any, str] = {"": "(none)", None: "(ourselves)"}
    if by == "model":
        keys = list(found)
        models = AIModel.objects.all() if len(keys) > _MANY else AIModel.objects.filter(pk__in=keys)
        names |= dict(models.order_by().values_list("pk", "endpoint_id"))
    elif by == "client":
        names |= dict(Client.objects.order_by().values_list("pk", "name"))
    elif by == "day":
        words = "%Y-%m" if asked.by_months else "%Y-%m-%d"
        return lambda key: f"{key:{words}}"
    return lambda key: names.get(key, str(key))
