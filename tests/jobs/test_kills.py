"""Every process killed with -9 while jobs run: nothing is lost, nothing is sent or charged twice."""

import os
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest
from django.db import connection

from tests import kills
from tests.fleet import fleet

# In one worker: it starts a dozen processes of its own.
pytestmark = [pytest.mark.postgres, pytest.mark.xdist_group("kills")]


@pytest.fixture
def database() -> Iterator[dict[str, str]]:
    """A database of its own: a file, or one more at the PostgreSQL that the tests run on."""
    if connection.vendor == "sqlite":
        yield {}
        return
    url = os.environ["DATABASE_URL"]
    with psycopg.connect(url, autocommit=True) as server:
        server.execute("CREATE DATABASE kills")
        yield {"DATABASE_URL": urlsplit(url)._replace(path="/kills").geturl()}
        server.execute("DROP DATABASE kills WITH (FORCE)")


def test_all_accepted_jobs_end_once_whatever_is_killed(tmp_path: Path, database: dict[str, str]) -> None:
    with fleet(tmp_path / "var", settings=kills.SETTINGS | database, dispatchers=2) as one:
        found = kills.run(one, jobs=60, rounds=1, seed=1)

    assert found.problems == []
    assert (found.accepted, found.lost, found.sent_twice, found.charged_twice) == (60, 0, 0, 0)
    assert set(found.killed) == {"web", "worker", "dispatcher 1", "dispatcher 2"}
