"""Two processes that bring one empty database up to date at once, and one of them killed in the middle of it.

Many migrations, many times: part of `make kills`, not of the suite.
"""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest
from django.db import connection

from tests.running_app import environment, manage
from tests.sandbox_server import ROOT

pytestmark = [
    pytest.mark.postgres,
    pytest.mark.skipif("EVERY_WRITE" not in os.environ, reason="part of `make kills`"),
]
PATIENCE_SECONDS = 180


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[dict[str, str]]:
    """The settings that name a database without any tables."""
    if connection.vendor == "sqlite":
        yield {"DATABASE_URL": f"sqlite:///{tmp_path}/db.sqlite3"}
        return
    url, name = os.environ["DATABASE_URL"], f"empty_{os.getpid()}"
    with psycopg.connect(url, autocommit=True) as server:
        server.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        server.execute(f"CREATE DATABASE {name}")
        yield {"DATABASE_URL": urlsplit(url)._replace(path=f"/{name}").geturl()}
        server.execute(f"DROP DATABASE {name} WITH (FORCE)")


def begin(var: Path, settings: dict[str, str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "manage.py", "migrate", "--noinput"],
        cwd=ROOT, env=environment(var) | settings | {"PYTHONUNBUFFERED": "1"}, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip


def end(process: subprocess.Popen[str]) -> tuple[str, str]:
    try:
        return process.communicate(timeout=PATIENCE_SECONDS)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait(10)


def is_up_to_date(var: Path, settings: dict[str, str]) -> bool:
    return manage(var, "migrate", "--check", **settings).returncode == 0


def test_of_two_one_migrates_and_the_other_finds_nothing_to_do(tmp_path: Path, empty: dict[str, str]) -> None:
    both = [begin(tmp_path, empty) for _ in range(2)]
    told = [end(process) for process in both]

    assert [process.returncode for process in both] == [0, 0], told
    assert sorted("Applying" in out for out, _ in told) == [False, True]
    assert "Another process brings the database up to date" in "".join(error for _, error in told)
    assert is_up_to_date(tmp_path, empty)


@pytest.mark.parametrize("seed", range(int(os.environ.get("MIGRATION_KILLS", "3"))))
def test_whoever_comes_after_one_that_was_killed_ends_what_it_began(
    tmp_path: Path, empty: dict[str, str], seed: int
) -> None:
    dice = random.Random(seed)
    kills = 0
    while kills < 5:
        first, second = begin(tmp_path, empty), begin(tmp_path, empty)
        time.sleep(dice.uniform(1.5, 5.0))
        for process in (first, second):
            if process.poll() is None:
                os.kill(process.pid, signal.SIGKILL)
                kills += 1
                break
        outcome = [(end(process), process.returncode) for process in (first, second)]
        assert {code for _, code in outcome} <= {0, -signal.SIGKILL}, outcome
        if is_up_to_date(tmp_path, empty):
            return
    told = end(last := begin(tmp_path, empty))
    assert last.returncode == 0, told
    assert is_up_to_date(tmp_path, empty)
