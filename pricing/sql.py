"""Statements that run for every job, written out: the ORM takes longer to write one than the database to run it.

They say the same to SQLite and PostgreSQL: `%s` for values, moments as aware datetimes, JSON as text both ways.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db import connection


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


def _adapted(values: tuple[Any, ...]) -> list[Any]:
    adapt = connection.ops.adapt_datetimefield_value
    return [adapt(value) if isinstance(value, datetime) else value for value in values]
