"""Reading sums from the coarsest rollups that tell them; the crossing of models and clients partly from records."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import date
from typing import Any

from django.db.models import F, Sum

from catalog.models import AIModel
from pricing.models import (
    ClientCategoryDay,
    ClientCategoryMonth,
    ClientDay,
    ClientMonth,
    ModelDay,
    ModelMonth,
    PairMonth,
)
from pricing.models.reports import BUCKETS
from pricing.reports.figures import Figures, total
from pricing.reports.gathering import added, between, jobs_sql
from pricing.reports.questions import Question
from pricing.reports.rollups import crossed_until
from pricing.sql import rows
from pricing.usage.days import read_day

# Of a filter that leaves more models than these, all are read, and the others dropped: faster than so long a list.
_MOST_LISTED = 200
_ADDED_FROM = {
    "quoted_jobs": ("quoted",), "quoted_cost": ("quoted",), "quoted_bill": ("quoted", "cost"),
    "quoted_off": ("quoted", "cost"), "cached": ("is_cached",), "timed": ("milliseconds",), "jobs": (),
    "succeeded": ("outcome",), "failed": ("outcome",), "canceled": ("outcome",),
}  # fmt: skip


def read_sums(
    asked: Question, by: str, sums: Sequence[str], *, only: Sequence[Any] | None = None
) -> dict[Any, Figures]:
    """Figures by key: the primary key of a model or client, a category, a provider's slug, or a day or month."""
    of_clients = asked.client_id is not None or by == "client"
    of_models = asked.model_id is not None or by == "model"
    if of_clients and of_models:
        return _crossed(asked, by, sums, only)
    if of_models or (by == "category" and not of_clients and not asked.category):
        return _of_models(asked, by, sums, only)
    by_category = bool(asked.category) or by == "category"
    day, month = (ClientCategoryDay, ClientCategoryMonth) if by_category else (ClientDay, ClientMonth)
    wanted = {"provider": asked.provider, "category": asked.category, "client_id": asked.client_id}
    filters = {name: value for name, value in wanted.items() if value not in ("", None)}
    column = {"client": "client_id", "day": "start"}.get(by, by)
    return _added(_grains(asked, by, day, month), asked, column, sums, filters)


def records_where(asked: Question, first: date, last: date) -> tuple[str, list[Any]]:
    """The condition, and its values, of the records that a question is about in some days."""
    condition, values = between(first, last)
    wanted = {
        "r.model_id": asked.model_id,
        "r.client_id": asked.client_id,
        "m.category": asked.category or None,
        "p.slug": asked.provider or None,
    }
    for column, value in wanted.items():
        if value is not None:
            condition += f" AND {column} = %s"
            values.append(value)
    return condition, values


def _of_models(asked: Question, by: str, sums: Sequence[str], only: Sequence[Any] | None) -> dict[Any, Figures]:
    listed, left = _filters_of_models(asked, only)
    column = "start" if by == "day" else "model_id"
    found = _added(_grains(asked, by, ModelDay, ModelMonth), asked, column, sums, listed)
    return _of_key(found, by, left)


def _crossed(asked: Question, by: str, sums: Sequence[str], only: Sequence[Any] | None) -> dict[Any, Figures]:
    listed, left = _filters_of_models(asked, only)
    if asked.client_id is not None:
        listed["client_id"] = asked.client_id
    column = {"client": "client_id", "day": "start"}.get(by, "model_id")
    whole, edges = asked.spans(months_before=crossed_until() or date.min)
    if by == "day" and not asked.by_months:
        whole, edges = None, [(asked.first, asked.last)]
    found = _added([(PairMonth, whole)] if whole else [], asked, column, sums, listed)
    for first, last in edges:
        for key, figures in _of_records(asked, column, sums, first, last).items():
            found[key] = total([found[key], figures], sums) if key in found else figures
    return _of_key(found, by, left)


def _of_records(asked: Question, column: str, sums: Sequence[str], first: date, last: date) -> dict[Any, Figures]:
    """Sums of the jobs of a few days, straight from the records."""
    found: dict[Any, Figures] = {}
    for key, figures in sums_of_records(*records_where(asked, first, last), sums, by=column).items():
        step = _step(asked, read_day(str(key))) if column == "start" else key
        found[step] = total([found[step], figures], sums) if step in found else figures
    return found


def sums_of_records(
    where: str, values: Iterable[Any], sums: Sequence[str], *, by: str = "provider"
) -> dict[Any, Figures]:
    """Sums of the jobs of some records, by one of their columns, or by day (`start`)."""
    needed = {part for name in sums for part in _ADDED_FROM.get(name, ("bucket",) if name in BUCKETS else (name,))}
    jobs = jobs_sql(where, needed | {by}, day=by == "start")
    statement = f"WITH jobs AS MATERIALIZED ({jobs}) SELECT {by}, {added(sums)} FROM jobs GROUP BY {by}"  # noqa: S608
    return {key: Figures(dict(zip(sums, map(int, row), strict=True))) for key, *row in rows(statement, *values)}


def _filters_of_models(asked: Question, only: Sequence[Any] | None) -> tuple[dict[str, Any], Callable[[Any], bool]]:
    """Conditions on rows with a model, and which of the models found are to be left."""
    if asked.model_id is not None:
        wanted = {"model__category": asked.category, "model__provider__slug": asked.provider}
        return {"model_id": asked.model_id, **{name: value for name, value in wanted.items() if value}}, _any
    if only is not None:
        return {"model_id__in": list(only)}, _any
    if not asked.category and not asked.provider:
        return {}, _any
    wanted = {"category": asked.category, "provider__slug": asked.provider}
    models = AIModel.objects.filter(**{name: value for name, value in wanted.items() if value})
    keys = set(models.order_by().values_list("pk", flat=True))
    if len(keys) <= _MOST_LISTED:
        return {"model_id__in": list(keys)}, _any
    return {}, keys.__contains__


def _any(_key: Any) -> bool:
    return True


def _of_key(found: dict[Any, Figures], by: str, left: Callable[[Any], bool]) -> dict[Any, Figures]:
    """What was found by model, by what is asked for."""
    if by in ("client", "day"):
        return found
    found = {key: figures for key, figures in found.items() if left(key)}
    if by == "model":
        return found
    of_model = dict(
        AIModel.objects.order_by().values_list("pk", {"category": "category", "provider": "provider__slug"}[by])
    )
    groups: dict[Any, list[Figures]] = {}
    for key, figures in found.items():
        groups.setdefault(of_model[key], []).append(figures)
    return {key: total(many) for key, many in groups.items()}


def _grains(asked: Question, by: str, day: Any, month: Any) -> list[tuple[Any, tuple[date, date]]]:
    if by == "day" and not asked.by_months:
        return [(day, (asked.first, asked.last))]
    whole, edges = asked.spans()
    return [*([(month, whole)] if whole else []), *((day, edge) for edge in edges)]


def _added(
    spans: Sequence[tuple[Any, tuple[date, date]]],
    asked: Question,
    column: str,
    sums: Sequence[str],
    filters: dict[str, Any],
) -> dict[Any, Figures]:
    cells: dict[Any, dict[str, int]] = {}
    totals = {f"sum_{name}": Sum(F(name)) for name in sums}
    for grain, span in spans:
        found = grain.objects.filter(start__range=span, **filters).order_by()
        for key, *row in found.values_list(column).annotate(**totals):
            _add(cells, _step(asked, key) if column == "start" else key, sums, row)
    return {key: Figures(cell) for key, cell in cells.items()}


def _add(cells: dict[Any, dict[str, int]], key: Any, sums: Sequence[str], row: Sequence[Any]) -> None:
    cell = cells.setdefault(key, dict.fromkeys(sums, 0))
    for name, value in zip(sums, row, strict=True):
        cell[name] += int(value)


def _step(asked: Question, day: date) -> date:
    """The step of its course that a day belongs to."""
    return day.replace(day=1) if asked.by_months else day
