"""A consistent copy of the database while everything runs, and putting it back into an empty one."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from django.db import DatabaseError, connection, transaction
from psycopg import pq

from genfeed.backup.manifest import BackupError, Progress
from genfeed.clients.models import Client
from jobs.models import Asset, Job
from pricing.models import LedgerTransaction

SQLITE, DUMP = "database.sqlite3", "database.dump"
COUNTED = {"clients": Client, "jobs": Job, "ledger_transactions": LedgerTransaction, "files": Asset}
# Copied at once; other connections read and write between two pieces.
_PAGES = 4096


def dump(folder: Path, progress: Progress) -> tuple[str, dict[str, int]]:
    """Writes the database as it is at one moment; the name of the file, and how many rows were counted at that moment.

    Raises BackupError. Nobody waits for it: neither those who read nor those who write.
    """
    try:
        return _dump_sqlite(folder, progress) if connection.vendor == "sqlite" else _dump_postgres(folder, progress)
    except (sqlite3.Error, DatabaseError) as error:
        raise BackupError(f"The database could not be copied: {error}.") from error


def load(folder: Path, progress: Progress) -> None:
    """Puts the copy into the database, which must be empty. Raises BackupError; what was begun is undone."""
    progress("Putting the database back", 0, 1)
    if connection.vendor == "sqlite":
        target = Path(connection.settings_dict["NAME"])
        connection.close()
        try:
            with closing(sqlite3.connect(folder / SQLITE)) as copied, closing(sqlite3.connect(target)) as own:
                copied.backup(own)
                _check(own, target)
        except sqlite3.Error as error:
            raise BackupError(f"The database could not be put back into {target}: {error}.") from error
    else:
        _run("pg_restore", "--exit-on-error", "--single-transaction", "--no-owner", "--no-privileges", folder / DUMP)


def require_empty() -> None:
    """Raises BackupError where the database has any table: nothing is ever overwritten."""
    if connection.introspection.table_names():
        what = "a file that is not there yet" if connection.vendor == "sqlite" else "another, empty one"
        raise BackupError(f"The database is not empty, and nothing is overwritten. Name {what} in DATABASE_URL.")


def counts() -> dict[str, int]:
    """How many rows there are of what a person knows."""
    return {name: model._default_manager.count() for name, model in COUNTED.items()}


def _dump_sqlite(folder: Path, progress: Progress) -> tuple[str, dict[str, int]]:
    path = folder / SQLITE
    connection.ensure_connection()
    name = connection.settings_dict["NAME"]
    with closing(sqlite3.connect(name, timeout=20)) as source, closing(sqlite3.connect(path)) as target:
        # While it is open, every piece is of the same moment, and the copy does not begin anew at each write.
        source.execute("BEGIN")
        source.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        source.backup(
            target, pages=_PAGES, sleep=0, progress=lambda _, left, all: progress("Database", all - left, all)
        )
        target.execute("PRAGMA journal_mode=DELETE")
        _check(target, path)
        found = {
            name: target.execute(f"SELECT count(*) FROM {model._meta.db_table}").fetchone()[0]  # noqa: S608 - our own
            for name, model in COUNTED.items()
        }
    return SQLITE, found


def _check(copied: sqlite3.Connection, path: Path) -> None:
    (told,) = copied.execute("PRAGMA quick_check(1)").fetchone()
    if told != "ok":
        raise BackupError(f"{path} is damaged: {told}.")


def _dump_postgres(folder: Path, progress: Progress) -> tuple[str, dict[str, int]]:
    progress("Database", 0, 1)
    with transaction.atomic(durable=True):
        with connection.cursor() as cursor:
            # What is counted here and what pg_dump reads is of the same moment.
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            # It waits here for as long as pg_dump takes, and locks nobody out.
            cursor.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
            cursor.execute("SELECT pg_export_snapshot()")
            snapshot = cursor.fetchone()[0]
        found = counts()
        _run("pg_dump", "--format=custom", f"--snapshot={snapshot}", f"--file={folder / DUMP}")
    progress("Database", 1, 1)
    return DUMP, found


def _run(program: str, *arguments: object) -> None:
    """Runs a program of PostgreSQL's against the database of the settings. Raises BackupError with its own words."""
    path = _find(program)
    with _service() as environ:
        command = [path, "--no-password", "--dbname=service=genfeed", *map(str, arguments)]
        done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BackupError(f"{program} failed: {done.stderr.strip()[-1000:]}")


def _find(program: str) -> str:
    found = shutil.which(program)
    if found is None:
        raise BackupError(
            f"{program} is not installed. It comes with PostgreSQL's client (Debian: postgresql-client), of at least "
            "the server's version."
        )
    return found


@contextmanager
def _service() -> Iterator[dict[str, str]]:
    """How to connect, in a file that only its owner reads: no command line and no environment shows a password."""
    known = {one.keyword.decode() for one in pq.Conninfo.get_defaults()}
    values = {name: value for name, value in connection.get_connection_params().items() if name in known}
    with tempfile.NamedTemporaryFile("w", suffix=".conf") as file:
        file.write("[genfeed]\n" + "".join(f"{name}={value}\n" for name, value in values.items()))
        file.flush()
        own = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
        yield own | {"PGSERVICEFILE": file.name}
