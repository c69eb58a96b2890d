"""Statements that run for every job, written out: the ORM takes longer to write one than the database to run it.

They say the same to SQLite and PostgreSQL: `%s` for values, moments as aware datetimes, JSON as text both ways.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import cache
from itertools import chain, groupby
from typing import Any, cast

from django.conf import settings
from django.db import connection
from django.db.models import Field, Model

type AnyField = Field[Any, Any]
# A model, whether the database makes the key, and how many rows of it.
type _Kind = tuple[type[Model], bool, int]


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


def rows_each(statement: str, many: Sequence[Sequence[Any]]) -> list[list[tuple[Any, ...]]]:
    """Runs a statement with each of many lists of values, in their order; what each of them answered, as `rows` does.

    PostgreSQL is told all before it is asked what became of the first: one way there and back.
    """
    return [found for _, found in _each(statement, [_adapted(tuple(values)) for values in many])]


def insert(row: Model) -> None:
    """Writes a new row and tells it its key: as `save`, for models without signals. Defaults stay the database's."""
    statement, _ = _insert_into(type(row), row.pk is None)
    with _cursor() as cursor:
        cursor.execute(statement, _values_of([row]))
        _is_written(row, cursor.fetchone()[0])


def insert_all(rows: Sequence[Model]) -> None:
    """Writes new rows, each as `insert` does, those of one model in this order; PostgreSQL is asked once for all."""
    insert_each([rows])


def insert_each(many: Sequence[Sequence[Model]]) -> None:
    """Writes several lists of new rows, each as `insert_all` does one."""
    if connection.vendor != "postgresql":
        for row in chain.from_iterable(many):
            insert(row)
        return
    alike: dict[tuple[_Kind, ...], list[list[Model]]] = {}
    for rows in many:
        kinds: dict[tuple[type[Model], bool], list[Model]] = {}
        for row in rows:
            kinds.setdefault((type(row), row.pk is None), []).append(row)
        if kinds:
            shape = tuple((*kind, len(of_kind)) for kind, of_kind in kinds.items())
            alike.setdefault(shape, []).append([row for of_kind in kinds.values() for row in of_kind])
    for shape, lists in alike.items():
        written = _each(_insert_kinds(shape), [_values_of(rows) for rows in lists])
        for rows, (_, found) in zip(lists, written, strict=True):
            keys = [key for of_kind in found[0] for key in of_kind]
            for row, key in zip(rows, keys, strict=True):
                _is_written(row, key)


def update(model: type[Model], columns: Mapping[str, Any], *, where: Mapping[str, Any]) -> int:
    """Sets columns of the rows whose columns equal `where`; how many those were."""
    return update_each(model, [(columns, where)])[0]


def update_each(model: type[Model], many: Sequence[tuple[Mapping[str, Any], Mapping[str, Any]]]) -> list[int]:
    """Sets columns of the rows whose others are equal, for each (columns, where), as `update` does; how many rows each.

    In this order, in which others may lock the rows too; PostgreSQL is asked once for neighbours that set the same.
    """
    changed: list[int] = []
    for statement, alike in groupby(many, key=lambda one: _update_of(model, tuple(one[0]), tuple(one[1]))):
        values = [_prepared(model, chain(columns.items(), where.items())) for columns, where in alike]
        changed += [count for count, _ in _each(statement, values)]
    return changed


def marks(values: Iterable[Any]) -> str:
    """The placeholders of a list of values."""
    return ", ".join("%s" for _ in values)


def _each(statement: str, many: Sequence[list[Any]]) -> list[tuple[int, list[tuple[Any, ...]]]]:
    """Runs a statement with each list of values; how many rows each changed or found, and the rows."""
    answers = []
    with _cursor() as cursor:
        if len(many) < 2 or connection.vendor != "postgresql" or not settings.DATABASE_KEEPS_STATEMENTS:
            for values in many:
                cursor.execute(statement, values)
                answers.append((int(cursor.rowcount), list(cursor.fetchall()) if cursor.description else []))
            return answers
        cursor.executemany(statement, many)
        while True:
            answers.append((int(cursor.rowcount), list(cursor.fetchall()) if cursor.description else []))
            if not cursor.nextset():
                return answers


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
def _insert_kinds(kinds: tuple[_Kind, ...]) -> str:
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


def _values_of(rows: Iterable[Model]) -> list[Any]:
    return [
        field.get_db_prep_save(getattr(row, field.attname), connection)
        for row in rows
        for field in _insert_into(type(row), row.pk is None)[1]
    ]


def _prepared(model: type[Model], columns: Iterable[tuple[str, Any]]) -> list[Any]:
    fields = model._meta
    return [cast(AnyField, fields.get_field(name)).get_db_prep_save(value, connection) for name, value in columns]


def _adapted(values: tuple[Any, ...]) -> list[Any]:
    adapt = connection.ops.adapt_datetimefield_value
    return [adapt(value) if isinstance(value, datetime) else value for value in values]
