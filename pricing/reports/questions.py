"""Figures of a period, from the coarsest rollups that tell them, or from the records of one model or client."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, timedelta
from decimal import Decimal
from typing import Any

from django.db.models import F, Q, Sum
from django.utils import timezone

from catalog.models import AIModel
from genfeed.clients.models import Client
from pricing.models import ClientDay, ClientMonth, CountDay, ModelDay, ModelMonth
from pricing.models.reports import SUMS
from pricing.money import format_decimal
from pricing.reports.figures import Figures, total
from pricing.reports.gathering import Job, count_names, gather, jobs_of, of_days
from pricing.usage.days import next_month

GROUPS = ("model", "client", "category", "provider", "day")
_ONE_DAY = timedelta(days=1)
# Longer periods are told by months.
MOST_DAYS_SINGLY = 92
MOST_DAYS = 1100
_BY_MODEL = {"model": "model_id", "category": "model__category", "provider": "model__provider__slug"}
FEW = ("jobs", "succeeded", "failed", "revenue", "cost")


class BadQuestionError(ValueError):
    """A question that reports can't answer; the message says what to ask instead."""


@dataclass(frozen=True, slots=True)
class Question:
    """Days `first` to `last` (UTC, both included), of everything or of what the filters leave."""

    first: date
    last: date
    provider: str = ""
    category: str = ""
    model_id: int | None = None
    client_id: int | None = None
    # The jobs behind it, where its answers come from them: read once, and answered from by several tables.
    kept: dict[bool, list[Job]] = field(default_factory=dict, compare=False, repr=False)

    @property
    def days(self) -> int:
        return (self.last - self.first).days + 1

    @property
    def before(self) -> Question:
        """The same number of days just before."""
        return replace(self, first=self.first - timedelta(days=self.days), last=self.first - _ONE_DAY, kept={})

    @property
    def is_of_models(self) -> bool:
        return bool(self.provider or self.category or self.model_id is not None)

    @property
    def by_months(self) -> bool:
        """Whether its course is told by months."""
        return self.days > MOST_DAYS_SINGLY


def today() -> date:
    """The day in UTC."""
    return timezone.now().astimezone(UTC).date()


@dataclass(frozen=True, slots=True)
class Group:
    """One line: what it is of, how it is called, and its figures."""

    key: Any
    name: str
    figures: Figures


def groups_of(
    asked: Question, by: str, *, sums: Sequence[str] = SUMS, only: Sequence[Any] | None = None
) -> list[Group]:
    """The figures by model, client, category, provider or day (of a long period: month). Raises BadQuestionError.

    `only`: of models, those with these keys.
    """
    found = _course(asked, sums) if by == "day" else _by_key(asked, by, sums, only)
    names = _names(asked, by, found)
    return [Group(key, names(key), figures) for key, figures in found.items()]


def total_of(asked: Question, *, sums: Sequence[str] = SUMS) -> Figures:
    """All of it together."""
    return total(_by_key(asked, "provider" if asked.is_of_models else "client", sums).values())


def counts_of(asked: Question, kind: str) -> list[tuple[str, int]]:
    """How many jobs had which error, or used which feature, the most frequent first."""
    if asked.model_id is not None or asked.client_id is not None:
        jobs = _jobs(asked, with_features=True)
        found = {name: n for (of, name), n in count_names(jobs).items() if of == kind}
    else:
        rows = _filtered_counts(asked, kind).values_list("name").annotate(n=Sum("jobs"))
        found = dict(rows)
    return sorted(found.items(), key=lambda item: (-item[1], item[0]))


def error_course(asked: Question) -> list[tuple[date, str, int]]:
    """How many jobs failed with which error, by day."""
    if asked.model_id is not None or asked.client_id is not None:
        days = _by_day(job for job in _jobs(asked) if job.outcome == "failed")
        counts = [(day, count_names(jobs)) for day, jobs in days.items()]
        return sorted((day, name, n) for day, found in counts for (kind, name), n in found.items() if kind == "error")
    rows = _filtered_counts(asked, "error").values_list("start", "name").annotate(n=Sum("jobs"))
    return sorted(rows)


def units_of(asked: Question, models: Iterable[int]) -> dict[int, dict[str, str]]:
    """The billed units of a few models, by unit."""
    found: dict[int, dict[str, Decimal]] = {}
    rows = ModelDay.objects.filter(model__in=list(models), start__range=(asked.first, asked.last)).exclude(units={})
    for model, units in rows.values_list("model_id", "units"):
        sums = found.setdefault(model, {})
        for unit, number in units.items():
            sums[unit] = sums.get(unit, Decimal(0)) + Decimal(number)
    return {model: {unit: format_decimal(n) for unit, n in units.items()} for model, units in found.items()}


def _by_key(asked: Question, by: str, sums: Sequence[str], only: Sequence[Any] | None = None) -> dict[Any, Figures]:
    crossed = asked.client_id is not None and (asked.is_of_models or by in _BY_MODEL)
    crossed = crossed or (by == "client" and asked.is_of_models)
    if crossed:
        return _from_records(asked, by, sums)
    column = "client_id" if by == "client" else _BY_MODEL[by]
    more = Q(model_id__in=list(only)) if by == "model" and only is not None else Q()
    return _added(_spans(asked, of_clients=by == "client"), asked, column, sums, lambda key: key, more)


def _course(asked: Question, sums: Sequence[str]) -> dict[Any, Figures]:
    """By day, each of them named, those without jobs too; or by month."""

    def step(day: date) -> date:
        return day.replace(day=1) if asked.by_months else day

    if asked.client_id is not None and asked.is_of_models:
        found = _from_records(asked, "day", sums)
    else:
        spans = _spans(asked, of_clients=not asked.is_of_models)
        if not asked.by_months:
            spans = [(ModelDay if asked.is_of_models else ClientDay, asked.first, asked.last)]
        found = _added(spans, asked, "start", sums, step)
    steps = dict.fromkeys(step(asked.first + timedelta(days=number)) for number in range(asked.days))
    return {day: found.get(day, Figures({})) for day in steps}


def _added(
    spans: list[tuple[Any, date, date]],
    asked: Question,
    column: str,
    sums: Sequence[str],
    key_of: Callable[[Any], Any],
    more: Q = Q(),  # noqa: B008
) -> dict[Any, Figures]:
    cells: dict[Any, dict[str, int]] = {}
    filters = _filters(asked)
    totals = {f"sum_{name}": Sum(F(name)) for name in sums}
    for grain, first, last in spans:
        rows = grain.objects.filter(more, start__range=(first, last), **filters).order_by()
        for row in rows.values_list(column).annotate(**totals):
            cell = cells.setdefault(key_of(row[0]), dict.fromkeys(sums, 0))
            for name, value in zip(sums, row[1:], strict=True):
                cell[name] += int(value)
    return {key: Figures(cell) for key, cell in cells.items()}


def _filters(asked: Question) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if asked.provider or asked.category:
        wanted = {"provider__slug": asked.provider, "category": asked.category}
        models = AIModel.objects.filter(**{name: value for name, value in wanted.items() if value})
        # Looked up once: a join would look up the model of every rollup.
        found["model_id__in"] = list(models.values_list("pk", flat=True))
    if asked.model_id is not None:
        found["model_id"] = asked.model_id
    if asked.client_id is not None:
        found["client_id"] = asked.client_id
    return found


def _spans(asked: Question, *, of_clients: bool) -> list[tuple[Any, date, date]]:
    """Whole months by month, the days before and after them by day."""
    of_clients = of_clients or asked.client_id is not None
    day, month = (ClientDay, ClientMonth) if of_clients else (ModelDay, ModelMonth)
    begin = asked.first if asked.first.day == 1 else next_month(asked.first.replace(day=1))
    after = asked.last + _ONE_DAY
    # Nothing ends in the future: the month that we are in is whole as far as there is anything.
    end = next_month(asked.last.replace(day=1)) if asked.last >= today() else after.replace(day=1)
    if begin >= end:
        return [(day, asked.first, asked.last)]
    spans: list[tuple[Any, date, date]] = [(month, begin, end - _ONE_DAY)]
    if asked.first < begin:
        spans.append((day, asked.first, begin - _ONE_DAY))
    if end < after:
        spans.append((day, end, asked.last))
    return spans


def _jobs(asked: Question, *, with_features: bool = False) -> list[Job]:
    kept = asked.kept.get(True) or asked.kept.get(with_features)
    if kept is None:
        records = of_days(asked.first, asked.last).filter(**_filters(asked))
        kept = list(jobs_of(records, with_features=with_features, client_id=asked.client_id))
        asked.kept[with_features] = kept
    return kept


def _from_records(asked: Question, by: str, sums: Sequence[str]) -> dict[Any, Figures]:
    if asked.model_id is None and asked.client_id is None:
        raise BadQuestionError("By client, figures are kept for all models or for one: choose one model, or no filter.")
    keys: dict[str, Callable[[Any], Any]] = {
        "model": lambda job: job.model_id,
        "client": lambda job: job.client_id,
        "day": lambda job: job.day.replace(day=1) if asked.by_months else job.day,
    }
    if by not in keys:
        of_model = dict(AIModel.objects.values_list("pk", _BY_MODEL[by].removeprefix("model__")))
        keys[by] = lambda job: of_model[job.model_id]
    cells = gather(_jobs(asked), keys[by])
    return {key: Figures({name: cell.sums[name] for name in sums}) for key, cell in cells.items()}


def _filtered_counts(asked: Question, kind: str) -> Any:
    rows = CountDay.objects.filter(kind=kind, start__range=(asked.first, asked.last)).order_by()
    wanted = {"provider": asked.provider, "category": asked.category}
    return rows.filter(**{name: value for name, value in wanted.items() if value})


def _by_day(jobs: Iterable[Job]) -> dict[date, list[Job]]:
    found: dict[date, list[Job]] = {}
    for job in jobs:
        found.setdefault(job.day, []).append(job)
    return found


def _names(asked: Question, by: str, found: Iterable[Any]) -> Callable[[Any], str]:
    names: dict[Any, str] = {"": "(none)", None: "(ourselves)"}
    if by == "model":
        names |= dict(AIModel.objects.filter(pk__in=list(found)).values_list("pk", "endpoint_id"))
    elif by == "client":
        names |= dict(Client.objects.values_list("pk", "name"))
    elif by == "day":
        words = "%Y-%m" if asked.by_months else "%Y-%m-%d"
        return lambda key: f"{key:{words}}"
    return lambda key: names.get(key, str(key))
