"""An installation that has been started once, and a database: made once in a run of the tests, then copied.

A first start migrates and discovers the whole catalog, in many seconds of CPU; tests of what comes afterwards share it.
"""

import fcntl
import json
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from django.db import connection

from tests.lazily import Lazily
from tests.running_app import FIRST_START, Stopped, manage, running_app
from tests.sandbox_server import free_port

psycopg = Lazily("psycopg")
_TOLD = "first_start.json"
# Set where the database server is the tests' own, and goes when they end.
OWN_SERVER = "GENFEED_TESTS_OWN_SERVER"
_TEMPLATE = "genfeed_migrated"


@dataclass(frozen=True)
class FirstStart:
    """What was seen while it ran: the status of /readyz, all that it printed, and the key of a client made then.

    `sandbox_port`: where its models' pictures are; the security policy of an installation names its own sandbox alone.
    `stopped`: what a SIGTERM at last did to it.
    """

    ready: int
    output: str
    key: str
    sandbox_port: int
    stopped: Stopped


def copy_of_prepared(factory: pytest.TempPathFactory, to: Path) -> Path:
    """Copies the prepared installation to `to`, which must not exist yet; the first caller of a run makes it."""
    shutil.copytree(_prepared(factory), to)
    return to


def first_start(factory: pytest.TempPathFactory) -> FirstStart:
    """How the prepared installation was started for the first time."""
    told = json.loads((_prepared(factory) / _TOLD).read_text())
    return FirstStart(**told | {"stopped": Stopped(**told["stopped"])})


def put_migrated_in_place(factory: pytest.TempPathFactory) -> bool:
    """A copy of a migrated database as the one that Django is about to make for its tests; False where it must migrate.

    On PostgreSQL only in a server of the tests' own (`tests.on_postgres`): elsewhere nothing would clear it away.
    """
    tests = connection.creation._get_test_db_name()
    if connection.vendor == "sqlite":
        shutil.copy(migrated(factory), tests)
        return True
    if OWN_SERVER not in os.environ:
        return False
    _made_once(factory, "template", _migrate_template)
    with connection._nodb_cursor() as cursor:  # type: ignore[attr-defined]
        cursor.execute(f'CREATE DATABASE "{tests}" TEMPLATE {_TEMPLATE}')
    return True


@contextmanager
def own_postgres(factory: pytest.TempPathFactory, name: str) -> Iterator[str]:
    """The URL of one more database at the PostgreSQL that the tests run on; it is gone afterwards.

    Migrated where the server is the tests' own, else empty.
    """
    url = os.environ["DATABASE_URL"]
    template = ""
    if OWN_SERVER in os.environ:
        _made_once(factory, "template", _migrate_template)
        template = f" TEMPLATE {_TEMPLATE}"
    with psycopg.connect(url, autocommit=True) as server:
        server.execute(f"CREATE DATABASE {name}{template}")
        try:
            yield urlsplit(url)._replace(path=f"/{name}").geturl()
        finally:
            server.execute(f"DROP DATABASE {name} WITH (FORCE)")


def _migrate_template(var: Path) -> None:
    var.mkdir()
    url = os.environ["DATABASE_URL"]
    with psycopg.connect(url, autocommit=True) as server:
        server.execute(f"CREATE DATABASE {_TEMPLATE}")
    there = urlsplit(url)._replace(path=f"/{_TEMPLATE}").geturl()
    done = manage(var, "migrate", "-v", "0", DATABASE_URL=there)
    assert done.returncode == 0, done.stderr


def migrated(factory: pytest.TempPathFactory) -> Path:
    """A database that has been through all migrations, to be copied; the first caller of a run makes it."""
    return _made_once(factory, "migrated", _migrate) / "db.sqlite3"


def _prepared(factory: pytest.TempPathFactory) -> Path:
    return _made_once(factory, "prepared", _make)


def _made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], None]) -> Path:
    folder = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        # The workers of one run have folders of their own in that of the run.
        folder = folder.parent
    made = folder / name
    with (folder / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            being = folder / f"{name}-being-made"
            shutil.rmtree(being, ignore_errors=True)
            make(being)
            being.rename(made)
    return made


def _migrate(var: Path) -> None:
    var.mkdir()
    done = manage(var, "migrate", "-v", "0")
    assert done.returncode == 0, done.stderr


def _make(var: Path) -> None:
    sandbox_port = free_port()
    with running_app(var, sandbox_port=sandbox_port) as app:
        ready = httpx.get(f"{app.base_url}/readyz", timeout=10, trust_env=False).status_code
        key = app.manage("create_client", "Kept").split()[-1]
        stopped = app.stop_all(signal.SIGTERM)
    (var / FIRST_START).write_text(app.output)
    (var / _TOLD).write_text(json.dumps(asdict(FirstStart(ready, app.output, key, sandbox_port, stopped))))
