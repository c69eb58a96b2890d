"""What Django, WhiteNoise and httpx do again for every test, done in a way that takes next to no time."""

from collections.abc import Callable
from functools import cache
from typing import Any

import httpx
import pytest
from django.conf import settings
from django.core.management.commands import flush
from django.db import connection
from django.db.backends.base.base import BaseDatabaseWrapper
from whitenoise.middleware import WhiteNoiseMiddleware

_STAYS = ("django_content_type", "auth_permission")
# The other tables that migrations write into: roles, the schedule, the margin. A test may change their rows.
_WRITTEN = ("auth_group", "auth_group_permissions", "django_q_schedule", "pricing_marginrule")
_written: dict[str, tuple[list[str], list[tuple[Any, ...]]]] = {}


def install(patch: pytest.MonkeyPatch) -> None:
    """Puts them in place until `patch` is undone."""
    patch.setattr(flush, "sql_flush", _delete_what_is_there)
    # It would write what was left standing, and nothing of what migrations wrote.
    patch.setattr(flush, "emit_post_migrate_signal", _write_anew)
    patch.setattr(WhiteNoiseMiddleware, "add_files_from_finders", _files_once())
    # Every client of a test would read the authorities of the whole world; with one context a try takes a tenth.
    patch.setattr("httpx._transports.default.create_ssl_context", cache(httpx.create_ssl_context))


def _delete_what_is_there(
    _style: Any, connection: BaseDatabaseWrapper, reset_sequences: bool = True, allow_cascade: bool = False
) -> list[str]:
    """The statements that empty the database after a test that really commits: of the tables that have rows alone.

    Django truncates every table, which takes PostgreSQL fifty times as long as deleting the few rows that a test
    leaves, and then writes content types and permissions anew: they simply stay here.
    """
    assert not reset_sequences, "a test that wants its keys counted from 1 needs Django's own flush"
    tables = connection.introspection.django_table_names(only_existing=True, include_views=False)
    quoted = {table: connection.ops.quote_name(table) for table in tables if table not in _STAYS}
    probes = (f"SELECT '{table}' WHERE EXISTS (SELECT 1 FROM {name})" for table, name in quoted.items())
    with connection.cursor() as cursor:
        cursor.execute(" UNION ALL ".join(probes))
        return [f"DELETE FROM {quoted[table]}" for (table,) in cursor.fetchall()]


def remember_what_migrations_wrote() -> None:
    """Call it before the first test: tests that commit may run before others that need these rows."""
    for table in _WRITTEN:
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)}")
            _written[table] = ([column[0] for column in cursor.description], cursor.fetchall())
        assert _written[table][1], f"no migration writes into {table}"


def _write_anew(*_: Any, **__: Any) -> None:
    for table, (columns, rows) in _written.items():
        names = ", ".join(connection.ops.quote_name(column) for column in columns)
        places = ", ".join(["%s"] * len(columns))
        with connection.cursor() as cursor:
            cursor.executemany(f"INSERT INTO {connection.ops.quote_name(table)} ({names}) VALUES ({places})", rows)


def _files_once() -> Callable[[WhiteNoiseMiddleware], None]:
    """Looks for static files once: every test client has a handler of its own, each of which would read all folders."""
    look = WhiteNoiseMiddleware.add_files_from_finders
    known: dict[str, dict[str, Any]] = {}

    def add(self: WhiteNoiseMiddleware) -> None:
        where = repr((self.static_prefix, settings.STATICFILES_DIRS, settings.STATIC_ROOT, self.max_age))
        if where not in known:
            before = set(self.files)
            look(self)
            known[where] = {url: file for url, file in self.files.items() if url not in before}
        self.files.update(known[where])

    return add
