"""Making the rollups of a day or a month, whole, from the jobs of that time. Everything runs in one transaction."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from datetime import date, timedelta
from typing import Any

from django.db import connection

from pricing.models import (
    ClientCategoryDay,
    ClientCategoryMonth,
    ClientCountMonth,
    ClientDay,
    ClientMonth,
    CountDay,
    CountMonth,
    ModelCountMonth,
    ModelDay,
    ModelMonth,
    PairMonth,
)
from pricing.models.reports import SUMS
from pricing.reports.gathering import (
    JOB,
    added,
    as_object,
    as_text,
    between,
    exact_sum,
    is_postgres,
    jobs_sql,
    members,
    names_of,
    prepare,
)
from pricing.sql import changed, rows
from pricing.usage.days import next_month

_STAGE = "pricing_jobs_now"
# What a rollup is of, by day and by month.
_KEYS: tuple[tuple[Any, Any, tuple[str, ...]], ...] = (
    (ModelDay, ModelMonth, ("model_id",)),
    (ClientDay, ClientMonth, ("client_id", "provider")),
    (ClientCategoryDay, ClientCategoryMonth, ("client_id", "provider", "category")),
)
DAYS: tuple[Any, ...] = (ModelDay, ClientDay, ClientCategoryDay, CountDay)
CROSSED: tuple[Any, ...] = (PairMonth, ModelCountMonth, ClientCountMonth)
MONTHS: tuple[Any, ...] = (ModelMonth, ClientMonth, ClientCategoryMonth, CountMonth, *CROSSED)


def make_day(day: date) -> None:
    """Replaces the rollups of a day."""
    _stage(day, day)
    units = f"SELECT model_id, unit, {exact_sum('units')} AS n FROM {_STAGE} WHERE units <> '' GROUP BY 1, 2"  # noqa: S608
    for grain, _, key in _KEYS:
        chosen = f"SELECT {_listed(key)}, {added()} FROM {_STAGE} GROUP BY {_listed(key)}"  # noqa: S608
        if grain is ModelDay:
            _replace(grain, day, (*key, *SUMS, "units"), _with_units(chosen, units))
        else:
            _replace(grain, day, (*key, *SUMS), chosen)
    key = ("provider", "category")
    _write(CountDay, (*key, "kind", "name", "jobs"), day, _counted(key))


def make_month(month: date) -> None:
    """Replaces the rollups of a month by the sums of its days."""
    span = [_date(month), _date(next_month(month))]
    sums = ", ".join(f"SUM({name}) AS {name}" for name in SUMS)
    units = (
        f"SELECT d.model_id AS model_id, u.key AS unit, {exact_sum('u.value')} AS n "  # noqa: S608
        f"FROM pricing_modelday d, {members('d.units')} u WHERE d.start >= %s AND d.start < %s GROUP BY 1, 2"
    )
    for source, grain, key in _KEYS:
        table = source._meta.db_table
        chosen = f"SELECT {_listed(key)}, {sums} FROM {table} WHERE start >= %s AND start < %s GROUP BY {_listed(key)}"  # noqa: S608
        if grain is ModelMonth:
            chosen = f"SELECT w.*, m.category FROM ({_with_units(chosen, units)}) w "  # noqa: S608
            chosen += "JOIN catalog_aimodel m ON m.id = w.model_id"
            _replace(grain, month, (*key, *SUMS, "units", "category"), chosen, [*span, *span])
        else:
            _replace(grain, month, (*key, *SUMS), chosen, span)
    names = ("provider", "category", "kind", "name")
    chosen = (
        f"SELECT {_listed(names)}, SUM(jobs) FROM pricing_countday WHERE start >= %s AND start < %s "  # noqa: S608
        f"GROUP BY {_listed(names)}"
    )
    _replace(CountMonth, month, (*names, "jobs"), chosen, span)


def make_crossed(month: date, alone: Callable[[], AbstractContextManager[None]]) -> None:
    """Replaces what is kept by model and client of a month that is over, from its jobs.

    A month has many: they are read before the transaction `alone` begins, so that writers wait for the writing only.
    """
    _stage(month, next_month(month) - timedelta(days=1))
    keys = {ModelCountMonth: ("model_id",), ClientCountMonth: ("client_id", "provider", "category")}
    counts = {grain: _counted(key) for grain, key in keys.items()}
    pair = ("model_id", "client_id")
    with alone():
        chosen = f"SELECT {_listed(pair)}, {added()} FROM {_STAGE} GROUP BY {_listed(pair)}"  # noqa: S608
        _replace(PairMonth, month, (*pair, *SUMS), chosen)
        for grain, counted in counts.items():
            _write(grain, (*keys[grain], "kind", "name", "jobs"), month, counted)


def begin() -> None:
    """Makes the temporary table that jobs are laid out in."""
    prepare()
    kept = "jsonb" if is_postgres() else "text"
    columns = ", ".join(f"{name} {kind.format(json=kept)}" for name, kind, _ in JOB)
    _run(f"CREATE TEMPORARY TABLE IF NOT EXISTS {_STAGE} ({columns})")


def end() -> None:
    """Drops it."""
    _run(f"DROP TABLE IF EXISTS {_STAGE}")


def _stage(first: date, last: date) -> None:
    condition, values = between(first, last)
    _run(f"{'TRUNCATE' if is_postgres() else 'DELETE FROM'} {_STAGE}")
    _run(f"INSERT INTO {_STAGE} {jobs_sql(condition)}", values)


def _counted(key: tuple[str, ...]) -> list[tuple[Any, ...]]:
    """Errors and features by name: the database counts equal jobs, and each set of features is read once."""
    found = rows(
        f"SELECT {_listed(key)}, CASE WHEN outcome = 'failed' AND error = '' THEN 'unknown' ELSE error END, "  # noqa: S608
        f"{as_text('features')}, COUNT(*) FROM {_STAGE} GROUP BY {', '.join(map(str, range(1, len(key) + 3)))}"
    )
    groups: dict[tuple[Any, ...], Counter[tuple[str, str]]] = {}
    for row in found:
        groups.setdefault(row[: len(key)], Counter()).update(names_of([row[len(key) :]]))
    return [(*group, kind, name, n) for group, counts in groups.items() for (kind, name), n in counts.items()]


def _write(grain: Any, columns: tuple[str, ...], start: date, counted: Sequence[tuple[Any, ...]]) -> None:
    _clear(grain, start)
    table, names = grain._meta.db_table, ", ".join(("start", *columns))
    with connection.cursor() as cursor:
        if is_postgres():
            with cursor.copy(f"COPY {table} ({names}) FROM STDIN") as copy:
                for row in counted:
                    copy.write_row((start, *row))
            return
        places = ", ".join(["%s"] * (len(columns) + 1))
        adapted = [(_date(start), *row) for row in counted]
        cursor.executemany(f"INSERT INTO {table} ({names}) VALUES ({places})", adapted)  # noqa: S608


def _with_units(models: str, by_unit: str) -> str:
    """Sums of models with their units as JSON; `by_unit` selects (model_id, unit, n)."""
    return (
        f"SELECT s.*, COALESCE(u.units, '{{}}') FROM ({models}) s LEFT JOIN "  # noqa: S608
        f"(SELECT model_id, {as_object('unit', 'n')} AS units FROM ({by_unit}) b GROUP BY model_id) u "
        "ON u.model_id = s.model_id"
    )


def _replace(grain: Any, start: date, columns: tuple[str, ...], chosen: str, values: Iterable[Any] = ()) -> None:
    """Puts what a SELECT chooses in the place of what there was."""
    _clear(grain, start)
    day = "CAST(%s AS date)" if is_postgres() else "%s"
    statement = f"INSERT INTO {grain._meta.db_table} (start, {_listed(columns)}) SELECT {day}, x.* FROM ({chosen}) x"  # noqa: S608
    _run(statement, [_date(start), *values])


def _clear(grain: Any, start: date) -> None:
    _run(f"DELETE FROM {grain._meta.db_table} WHERE start = %s", [_date(start)])  # noqa: S608


def _date(day: date) -> Any:
    return connection.ops.adapt_datefield_value(day)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names)


def _run(statement: str, values: Iterable[Any] = ()) -> None:
    changed(statement, *values)
