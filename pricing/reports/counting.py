"""How many jobs of a question had which error or used which feature, and what models were billed for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import date
from decimal import Decimal
from typing import Any

from django.db.models import Sum

from pricing.models import ClientCountMonth, CountDay, CountMonth, ModelCountMonth, ModelDay, ModelMonth
from pricing.money import format_decimal
from pricing.reports.gathering import as_text, names_of, record_day
from pricing.reports.questions import Question
from pricing.reports.reading import records_where
from pricing.reports.rollups import crossed_until
from pricing.sql import rows
from pricing.usage.days import read_day

Counts = list[tuple[str, int]]


def counts_of(asked: Question) -> tuple[Counts, Counts]:
    """How many jobs failed with which error, and used which feature, the most frequent first."""
    counts: Counter[tuple[str, str]] = Counter()
    if asked.model_id is None and asked.client_id is None:
        whole, edges = asked.spans()
        grains: list[tuple[Any, Any]] = [(CountMonth, whole)] if whole else []
        for grain, span in [*grains, *((CountDay, edge) for edge in edges)]:
            _add_rows(counts, grain.objects.filter(start__range=span, **_filters(asked)))
    else:
        whole, edges = asked.spans(months_before=crossed_until() or date.min)
        if asked.model_id is not None and asked.client_id is not None:
            # Few enough to be looked at one by one.
            whole, edges = None, [(asked.first, asked.last)]
        if whole and asked.model_id is not None:
            named = {"category": "model__category", "provider": "model__provider__slug"}
            filters = {named[name]: value for name, value in _filters(asked).items()}
            _add_rows(counts, ModelCountMonth.objects.filter(model=asked.model_id, start__range=whole, **filters))
        elif whole:
            kept = ClientCountMonth.objects.filter(client=asked.client_id, start__range=whole, **_filters(asked))
            _add_rows(counts, kept)
        for first, last in edges:
            counts.update(names_of(row for _, row in _from_records(asked, first, last)))
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0][1]))
    errors, features = ([(name, n) for (of, name), n in ranked if of == kind] for kind in ("error", "feature"))
    return errors, features


def error_course(asked: Question) -> list[tuple[date, str, int]]:
    """How many jobs failed with which error, by day."""
    if asked.model_id is None and asked.client_id is None:
        kept = CountDay.objects.filter(kind="error", start__range=(asked.first, asked.last), **_filters(asked))
        return sorted(kept.order_by().values_list("start", "name").annotate(n=Sum("jobs")))
    counts: Counter[tuple[date, str]] = Counter()
    for day, (error, _, jobs) in _from_records(asked, asked.first, asked.last, by_day=True):
        if error and day is not None:
            counts[day, error] += jobs
    return sorted((day, error, jobs) for (day, error), jobs in counts.items())


def units_of(asked: Question, models: Iterable[int]) -> dict[int, dict[str, str]]:
    """The billed units of a few models, by unit; of all clients."""
    found: dict[int, dict[str, Decimal]] = {}
    whole, edges = asked.spans()
    keys = list(models)
    grains: list[tuple[Any, Any]] = [(ModelMonth, whole)] if whole else []
    for grain, span in [*grains, *((ModelDay, edge) for edge in edges)]:
        kept = grain.objects.filter(model__in=keys, start__range=span).order_by()
        for model, units in kept.values_list("model_id", "units"):
            sums = found.setdefault(model, {})
            for unit, number in units.items():
                sums[unit] = sums.get(unit, Decimal(0)) + Decimal(number)
    return {model: {unit: format_decimal(n) for unit, n in units.items()} for model, units in found.items()}


def _filters(asked: Question) -> dict[str, str]:
    wanted = {"provider": asked.provider, "category": asked.category}
    return {name: value for name, value in wanted.items() if value}


def _add_rows(counts: Counter[tuple[str, str]], kept: Any) -> None:
    for kind, name, jobs in kept.order_by().values_list("kind", "name").annotate(n=Sum("jobs")):
        counts[kind, name] += jobs


def _from_records(
    asked: Question, first: date, last: date, *, by_day: bool = False
) -> Iterator[tuple[date | None, tuple[str, str, int]]]:
    """Of records: the day if it is asked for, the error of a failed job, its features, and how many such jobs."""
    condition, values = records_where(asked, first, last)
    day, error = record_day() if by_day else "NULL", "CASE WHEN r.error_code = '' THEN 'unknown' ELSE r.error_code END"
    statement = (
        f"SELECT {day}, CASE WHEN r.outcome = 'failed' THEN {error} ELSE '' END, {as_text('r.features')}, COUNT(*) "  # noqa: S608
        "FROM pricing_usagerecord r JOIN catalog_aimodel m ON m.id = r.model_id "
        f"JOIN catalog_provider p ON p.id = m.provider_id WHERE {condition} GROUP BY 1, 2, 3"
    )
    for found, error_code, features, jobs in rows(statement, *values):
        yield (read_day(str(found)) if by_day else None), (error_code, features, jobs)
