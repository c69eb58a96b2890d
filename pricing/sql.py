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
    with connection.cursor() as cursor:
        cursor.execute(statement, _adapted(values))
        return int(cursor.rowcount)


def rows(statement: str, *values: Any) -> list[tuple[Any, ...]]:
    """Runs a statement that answers, a SELECT or one with RETURNING; its rows."""
    with connection.cursor() as cursor:
        cursor.execute(statement, _adapted(values))
        return list(cursor.fetchall())


def insert(row: Model) -> None:
    """Writes a new row and tells it its key: as `save`, for models without signals. Defaults stay the database's."""
    statement, fields = _insert_into(type(row), row.pk is None)
    values = [field.get_db_prep_save(getattr(row, field.attname), connection) for field in fields]
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        _is_written(row, cursor.fetchone()[0])


def insert_all(rows: Sequence[Model]) -> None:
    """Writes new rows of any models in this order, each as `insert` does; PostgreSQL is asked once for all of them."""
    if connection.vendor != "postgresql" or len(rows) < 2:
        for row in rows:
            insert(row)
        return
    statements, values = [], []
    for row in rows:
        statement, fields = _insert_into(type(row), row.pk is None)
        statements.append(statement)
        values += [field.get_db_prep_save(getattr(row, field.attname), connection) for field in fields]
    with connection.cursor() as cursor:
        cursor.execute("; ".join(statements), values)
        for row in rows:
            _is_written(row, cursor.fetchone()[0])
            cursor.nextset()


def update(model: type[Model], columns: Mapping[str, Any], *, where: Mapping[str, Any]) -> int:
    """Sets columns of the rows whose columns equal `where`; how many those were."""
    statement = _update_of(model, tuple(columns), tuple(where))
    values = [*_prepared(model, columns.items()), *_prepared(model, where.items())]
    with connection.cursor() as cursor:
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
def _update_of(model: type[Model], columns: tuple[str, ...], where: tuple[str, ...]) -> str:
    sets, conditions = (
        [f"{_quoted(model._meta.get_field(name))} = %s" for name in names] for names in (columns, where)
    )
    table = connection.ops.quote_name(model._meta.db_table)
    return f"UPDATE {table} SET {', '.join(sets)} WHERE {' AND '.join(conditions)}"  # noqa: S608 - our own names


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
