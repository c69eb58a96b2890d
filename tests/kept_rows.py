"""What a long preparation writes into the database: done once, its rows put back when it is wanted again."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from django.apps import apps
from django.core.management.color import no_style
from django.db import connection, models, transaction

_Rows = dict[Any, tuple[Any, ...]]


@dataclass
class _Kept:
    """The rows that a preparation found and left, of the tables that it changed, by primary key."""

    found: dict[type[models.Model], _Rows] = field(default_factory=dict)
    left: dict[type[models.Model], _Rows] = field(default_factory=dict)


_kept: dict[tuple[Any, ...], _Kept] = {}


def once(key: tuple[Any, ...], prepare: Callable[[], object]) -> None:
    """Calls `prepare`, or puts back what it wrote when it was called for this key before.

    It is called again where a table that it writes is not as it was that time: after that, other rows may follow.
    """
    kept = _kept.get(key)
    if kept is not None and all(_rows(model) == found for model, found in kept.found.items()):
        _put_back(kept)
        return
    before = {model: _rows(model) for model in _models()}
    prepare()
    kept = _Kept()
    for model, found in before.items():
        left = _rows(model)
        if left != found:
            kept.found[model], kept.left[model] = found, left
    _kept[key] = kept


def _models() -> list[type[models.Model]]:
    return [one for one in apps.get_models(include_auto_created=True) if one._meta.managed and not one._meta.proxy]


def _columns(model: type[models.Model]) -> str:
    columns = [model._meta.pk, *(one for one in model._meta.concrete_fields if not one.primary_key)]
    return ", ".join(connection.ops.quote_name(one.column) for one in columns)


def _rows(model: type[models.Model]) -> _Rows:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {_columns(model)} FROM {connection.ops.quote_name(model._meta.db_table)}")
        return {row[0]: tuple(_lasting(value) for value in row) for row in cursor.fetchall()}


def _lasting(value: Any) -> Any:
    return bytes(value) if isinstance(value, memoryview) else value


def _put_back(kept: _Kept) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        for model, found in kept.found.items():
            table = connection.ops.quote_name(model._meta.db_table)
            left = kept.left[model]
            pk = connection.ops.quote_name(model._meta.pk.column)
            gone = [(key,) for key, row in found.items() if left.get(key) != row]
            new = [row for key, row in left.items() if found.get(key) != row]
            if gone:
                cursor.executemany(f"DELETE FROM {table} WHERE {pk} = %s", gone)
            if new:
                marks = ", ".join(["%s"] * len(new[0]))
                cursor.executemany(f"INSERT INTO {table} ({_columns(model)}) VALUES ({marks})", new)
        for statement in connection.ops.sequence_reset_sql(no_style(), list(kept.found)):
            cursor.execute(statement)
