"""Deliveries by real processes that are killed with -9, to a receiver that fails a third of the time."""

import os
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest
from django.db import connection

from tests import deliveries

# In one worker, with the other tests that start processes of their own.
pytestmark = pytest.mark.xdist_group("kills")


@pytest.fixture
def database() -> Iterator[dict[str, str]]:
    """A database of its own: a file, or one more at the PostgreSQL that the tests run on."""
    if connection.vendor == "sqlite":
        yield {}
        return
    url = os.environ["DATABASE_URL"]
    with psycopg.connect(url, autocommit=True) as server:
        server.execute("CREATE DATABASE deliveries")
        yield {"DATABASE_URL": urlsplit(url)._replace(path="/deliveries").geturl()}
        server.execute("DROP DATABASE deliveries WITH (FORCE)")


def test_every_delivery_is_made_as_often_as_needed_and_in_order_though_senders_are_killed(
    tmp_path: Path, database: dict[str, str]
) -> None:
    found = deliveries.run(tmp_path, events=20, endpoints=10, ordered=5, kills=2, database=database)

    assert found.problems == []
    assert (found.deliveries, found.kills) == (200, 2)
    assert found.failed_attempts > 50


def test_nothing_is_delivered_again_after_a_2xx(tmp_path: Path, database: dict[str, str]) -> None:
    found = deliveries.run(tmp_path, events=10, endpoints=6, ordered=3, database=database)

    assert (found.problems, found.repeated) == ([], 0)
