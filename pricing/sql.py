"""Statements that run for every job, written out: the ORM takes longer to write one than the database to run it.

They say the same to SQLite and PostgreSQL: `%s` for values, moments as aware datetimes, JSON as text both ways.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any, cast

from django.db import connection
from django.db.models import Field, Model

type AnyField = Field[Any, Any]


def changed(statement: str, *values: Any) -> int:
    """Runs a statement; how many rows it changed."""
    with _cursor() as cursor:
        cursor.execute(statement, _adapted(values))
        return int(cursor.rowcount)


def rows(statement: str, *values: Any) -> list[tuple[Any, ...]]:
    """Runs a statement that answers, a SELECT or one with RETURNING; its rows."""
    with _cursor() as cursor:
        cursor.execute(statement, _adapted(values))
        return list(cursor.fetchall())


def insert(row: Model) -> None:
    """Writes a new row and tells it its key: as `save`, for models without signals. Defaults stay the database's."""
    statement, fields = _insert_into(type(row), row.pk is None)
    values = [field.get_db_prep_save(getattr(row, field.attname), connection) for field in fields]
    with _cursor() as cursor:
        cursor.execute(statement, values)
        _is_written(row, cursor.fetchone()[0])


def insert_all(rows: Sequence[Model]) -> None:
    """Writes new rows, each as `insert` does, those of one model in this order; PostgreSQL is asked once for all."""
    if connection.vendor != "postgresql" or len(rows) < 2:
        for row in rows:
            insert(row)
        return
    kinds: dict[tuple[type[Model], bool], list[Model]] = {}
    for row in rows:
        kinds.setdefault((type(row), row.pk is None), []).append(row)
    statement = _insert_kinds(tuple((*kind, len(of_kind)) for kind, of_kind in kinds.items()))
    ordered = [row for of_kind in kinds.values() for row in of_kind]
    values: list[Any] = []
    for row in ordered:
        fields = _insert_into(type(row), row.pk is None)[1]
        values += [field.get_db_prep_save(getattr(row, field.attname), connection) for field in fields]
    with _cursor() as cursor:
        cursor.execute(statement, values)
        keys = [key for of_kind in cursor.fetchone() for key in of_kind]
    for row, key in zip(ordered, keys, strict=True):
        _is_written(row, key)


def update(model: type[Model], columns: Mapping[str, Any], *, where: Mapping[str, Any]) -> int:
    """Sets columns of the rows whose columns equal `where`; how many those were."""
    statement = _update_of(model, tuple(columns), tuple(where))
    values = [*_prepared(model, columns.items()), *_prepared(model, where.items())]
    with _cursor() as cursor:
        cursor.execute(statement, values)
        return int(cursor.rowcount)


def marks(values: Iterable[Any]) -> str:
    """The placeholders of a list of values."""
    return ", ".join("%s" for _ in values)


@cache
def _insert_into(model: type[Model], makes_key: bool) -> tuple[str, list[AnyField]]:
    fields = [
        field
        for field in model._meta.concrete_fields
        if not (makes_key and field.primary_key) and not field.has_db_default()
    ]
    names = ", ".join(_quoted(field) for field in fields)
    into = connection.ops.quote_name(model._meta.db_table)
    key = _quoted(model._meta.pk)
    return f"INSERT INTO {into} ({names}) VALUES ({marks(fields)}) RETURNING {key}", fields  # noqa: S608 - our own names


@cache
def _insert_kinds(kinds: tuple[tuple[type[Model], bool, int], ...]) -> str:
    """One statement that writes so many rows of each model, and answers with a list of keys for each."""
    parts = []
    for place, (model, makes_key, count) in enumerate(kinds):
        into, fields = _insert_into(model, makes_key)
        head, values, returning = into.partition(f"({marks(fields)})")
        parts.append(f"written_{place} AS ({head}{', '.join([values] * count)}{returning} AS key)")
    keys = ", ".join(f"ARRAY(TABLE written_{place})" for place in range(len(kinds)))
    return f"WITH {', '.join(parts)} SELECT {keys}"


@cache
def _update_of(model: type[Model], columns: tuple[str, ...], where: tuple[str, ...]) -> str:
    sets, conditions = (
        [f"{_quoted(model._meta.get_field(name))} = %s" for name in names] for names in (columns, where)
    )
    table = connection.ops.quote_name(model._meta.db_table)
    return f"UPDATE {table} SET {', '.join(sets)} WHERE {' AND '.join(conditions)}"  # noqa: S608 - our own names


def _cursor() -> Any:
    """Where PostgreSQL keeps the statement for the next time."""
    return connection.kept_cursor() if connection.vendor == "postgresql" else connection.cursor()  # type: ignore[attr-defined]


def _is_written(row: Model, key: Any) -> None:
    row.pk = key
    row._state.adding = False
    row._state.db = connection.alias


def _quoted(field: Any) -> str:
    return connection.ops.quote_name(field.column)


def _prepared(model: type[Model], columns: Iterable[tuple[str, Any]]) -> list[Any]:
    fields = model._meta
    return [cast(AnyField, fields.get_field(name)).get_db_prep_save(value, connection) for name, value in columns]


def _adapted(values: tuple[Any, ...]) -> list[Any]:
    adapt = connection.ops.adapt_datetimefield_value
    return [adapt(value) if isinstance(value, datetime) else value for value in values]
