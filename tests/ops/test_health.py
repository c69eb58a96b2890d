"""Is the process alive, and is it ready: probes for whatever runs it."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.test import Client as HttpClient

from catalog import revisions
from genfeed import health
from tests.factories import publish_now

ROOT = Path(__file__).resolve().parents[2]
# A process of its own: what a probe finds there must not depend on this one's database.
PROBE = """
import json, sys, django
django.setup()
from django.test import Client
answers = {}
for path in ("/healthz", "/readyz"):
    answer = Client().get(path)
    answers[path] = [answer.status_code, answer.content.decode()]
print(json.dumps(answers))
"""


def probe(tmp_path: Path, database_url: str) -> dict[str, Any]:
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "genfeed.settings",
        "GENFEED_VAR_DIR": str(tmp_path),
        "DATABASE_URL": database_url,
        "ALLOWED_HOSTS": "testserver",
        "LOG_LEVEL": "ERROR",
    }
    done = subprocess.run(
        [sys.executable, "-c", PROBE], cwd=ROOT, env=environment, capture_output=True, text=True, check=True, timeout=60
    )
    return json.loads(done.stdout)


def test_healthz_says_ok_without_asking_the_database(client: HttpClient) -> None:
    # Without the mark that allows it, any query would fail this test.
    answer = client.get("/healthz")

    assert (answer.status_code, answer.content) == (200, b"ok\n")


@pytest.mark.django_db
def test_readyz_tells_the_revision_when_all_is_well(client: HttpClient) -> None:
    number = publish_now()

    answer = client.get("/readyz")

    assert answer.status_code == 200
    assert answer.json() == {"ready": True, "catalog_revision": number, "problems": {}}


@pytest.mark.django_db
def test_before_the_first_sync_the_process_is_ready(client: HttpClient) -> None:
    answer = client.get("/readyz")

    assert (answer.status_code, answer.json()["ready"], answer.json()["catalog_revision"]) == (200, True, 0)


def test_without_a_database_the_process_lives_but_is_not_ready(tmp_path: Path) -> None:
    answers = probe(tmp_path, "postgres://nobody:a-password@127.0.0.1:9/none")

    assert answers["/healthz"] == [200, "ok\n"]
    status, body = answers["/readyz"]
    assert status == 503
    assert json.loads(body) == {
        "ready": False,
        "catalog_revision": None,
        "problems": {"database": "It does not answer."},
    }
    assert "a-password" not in body


def test_without_migrations_the_process_is_not_ready(tmp_path: Path) -> None:
    answers = probe(tmp_path, f"sqlite:///{tmp_path}/empty.sqlite3")

    status, body = answers["/readyz"]
    assert status == 503
    assert json.loads(body)["problems"] == {"migrations": "Some are not applied. Run `manage.py migrate`."}
    assert answers["/healthz"][0] == 200


@pytest.mark.django_db
def test_a_database_that_goes_away_later_is_noticed_too(client: HttpClient, monkeypatch: pytest.MonkeyPatch) -> None:
    assert client.get("/readyz").status_code == 200

    def gone() -> None:
        raise OperationalError("the connection is lost; password=a-password")

    monkeypatch.setattr(revisions, "current", gone)

    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()["problems"]) == (503, {"database": "It does not answer."})
    assert b"a-password" not in answer.content


@pytest.mark.django_db
def test_migrations_are_not_read_at_every_probe(
    client: HttpClient, monkeypatch: pytest.MonkeyPatch, django_assert_num_queries: Any
) -> None:
    client.get("/readyz")

    def read_again(_: Any) -> None:
        raise AssertionError("The migrations were read again.")

    monkeypatch.setattr(health, "MigrationExecutor", read_again)
    assert client.get("/readyz").status_code == 200


@pytest.mark.django_db
def test_a_probe_is_cheap(client: HttpClient, django_assert_max_num_queries: Any) -> None:
    client.get("/readyz")

    # PostgreSQL is asked once more whether the connection still works.
    with django_assert_max_num_queries(2 if connection.vendor == "postgresql" else 1):
        client.get("/readyz")
