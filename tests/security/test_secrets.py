"""Secrets of a whole installation, looked for in everything that it leaves: every table, every file, every log line.

They are known by their marks, also in other clothes: base64 at each of its three offsets, hexadecimal, percent-encoded.
Where one may stand is said in BY_DESIGN; the prompt of a client is in the rows of its jobs, and in no log line.
"""

import base64
import json
import secrets
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from tests.fleet import Fleet, fleet
from tests.jobs.conftest import own_database  # noqa: F401 - a fixture
from tests.lazily import Lazily

pytestmark = pytest.mark.once

psycopg = Lazily("psycopg")
MODEL = "fal-ai/flux/dev"
PATIENCE_SECONDS = 60
# Tables and columns that may hold what is looked for, with the reason in words.
BY_DESIGN = {
    ("prompt", "jobs_job.input"): "the client's own request, erased with its data",
    ("prompt", "jobs_job.output"): "the provider repeats it in its result; erased with its data",
    ("prompt", "jobs_provideranswer.body"): "the same, kept for staff for a while; erased with its data",
    ("prompt", "jobs_webhookmessage.body"): "what the client is told of its own job",
    ("signature", "jobs_webhookmessage.body"): "the client is told where its files are",
    ("events-token", "jobs_webhookmessage.body"): "and where it can follow its one job",
    ("session", "django_session.session_key"): "Django's session, ended by logging out and by a new password",
}
_ROWS = """
import json
from django.contrib.auth.models import User
from genfeed.clients.keys import create_key
from genfeed.clients.models import Client
from genfeed.journal.audit import SYSTEM
from tests.pricing.estimates.sold import IMAGES_OUT, PROMPT, field, make_sold
from tests.factories import publish_now
make_sold("fal-ai/flux/schnell", inputs=[PROMPT, field("their_key", format="password")], outputs=IMAGES_OUT)
publish_now()
User.objects.create_superuser("root", password={password!r})
client = Client.objects.get(name="Load")
print(json.dumps(create_key(client, actor=SYSTEM, scopes=["admin"])[1]))
"""


def mark(what: str) -> str:
    return f"{what}-{secrets.token_hex(12)}"


def forms(secret: str) -> set[str]:
    """A secret as it is, and as it looks when it was written otherwise."""
    raw = secret.encode()
    found = {secret, raw.hex(), raw.hex().upper(), quote(secret, safe="")}
    for offset in range(3):
        text = base64.b64encode(b"\0" * offset + raw).decode()
        # The first and the last characters depend on what stands beside it.
        inner = text[-(-offset * 8 // 6) + (1 if offset else 0) : len(text) - 4]
        found |= {inner, inner.replace("+", "-").replace("/", "_")}
    return found


@pytest.mark.django_db(transaction=True)
def test_no_secret_of_an_installation_is_left_where_it_does_not_belong(
    tmp_path: Path,
    own_database: dict[str, str],  # noqa: F811
) -> None:
    known = {what: mark(what) for what in ("provider-key", "sent-key", "prompt", "their-key", "password")}
    settings = {
        "GENFEED_MODE": "core", "FAL_KEY": f"operator:{known['provider-key']}", "LOG_LEVEL": "DEBUG", **own_database,
    }  # fmt: skip
    with fleet(tmp_path / "var", settings=settings, worker=False) as site:
        site.sandbox.account(f"operator:{known['provider-key']}", "operator")
        site.sandbox.account(f"sent:{known['sent-key']}", "sent")
        site.sandbox.faults(processing_ms=20)
        known["api-key"] = site.prepare()
        known["second-api-key"] = json.loads(site.shell(_ROWS.format(password=known["password"])).splitlines()[-1])
        site.start_all()
        known |= live(site, known)
        site.stop()
        log = site.log.read_text()

    assert len(log) > 5_000
    found = set(search(known, own_database, tmp_path / "var", log))
    assert found - BY_DESIGN.keys() == set()
    assert ("prompt", "jobs_job.input") in found


def live(site: Fleet, known: dict[str, str]) -> dict[str, str]:
    """What clients, pages and staff do in a day; the secrets that they were given."""
    keyed = {"Authorization": f"Bearer {known['second-api-key']}"}
    with httpx.Client(base_url=site.base_url, timeout=30, trust_env=False, headers=keyed) as http:
        job = asked(http, "/api/v1/jobs", {"model": MODEL, "input": {"prompt": known["prompt"]}})
        their = {"prompt": known["prompt"], "their_key": known["their-key"]}
        jobs = [job, asked(http, "/api/v1/jobs", {"model": "fal-ai/flux/schnell", "input": their})]
        sent = {"X-Provider-Key": f"sent:{known['sent-key']}"}
        jobs.append(asked(http, "/api/v1/jobs", {"model": MODEL, "input": {"prompt": known["prompt"]}}, **sent))
        endpoint = asked(http, "/api/v1/webhook-endpoints", {"url": "https://example.com/h", "events": ["*"]})
        token = asked(http, "/api/v1/browser-tokens", {"origin": "https://app.example.com"})
        made = asked(http, "/api/v1/keys", {"name": "made", "scopes": ["models:read"]})
        ended = [wait(http, one["id"]) for one in jobs]
        assert {one["status"] for one in ended} == {"succeeded"}, [one["error"] for one in ended]
        events = http.get(ended[0]["events_url"]).request.url.params["token"]
        url = httpx.URL(ended[0]["assets"][0]["url"])
        http.get(str(url))
        # Mistakes are logged too.
        http.post("/api/v1/jobs", content=b'{"prompt": "' + known["prompt"].encode())
        http.get("/api/v1/models", headers={"Authorization": f"Bearer {made['api_key']}x"})
        http.post("/v1/images/generations", json={"model": MODEL, "prompt": known["prompt"], "size": "no size"})
        http.post(f"/fal/queue/{MODEL}", json={"prompt": known["prompt"], "image_size": "no size"})
    with httpx.Client(base_url=site.base_url, timeout=30, trust_env=False) as browser:
        browser.get("/admin/login/")
        for password in (known["prompt"], known["password"]):
            data = {"username": "root", "password": password, "csrfmiddlewaretoken": browser.cookies["csrftoken"]}
            browser.post("/admin/login/", data=data)
        session = browser.cookies["sessionid"]
    return {
        "webhook-secret": endpoint["secret"].removeprefix("whsec_"), "page-token": token["token"],
        "made-key": made["api_key"], "events-token": events, "signature": url.params["sig"], "session": session,
    }  # fmt: skip


def asked(http: httpx.Client, path: str, body: Any, **headers: str) -> dict[str, Any]:
    answer = http.post(path, json=body, headers=headers)
    assert answer.status_code in (200, 201), answer.text
    told: dict[str, Any] = answer.json()
    return told


def wait(http: httpx.Client, job: str) -> dict[str, Any]:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        told: dict[str, Any] = http.get(f"/api/v1/jobs/{job}").json()
        is_stored = not any(asset["state"] == "pending" for asset in told["assets"])
        if told["status"] in ("succeeded", "failed", "canceled") and is_stored:
            return told
        time.sleep(0.1)
    pytest.fail(f"{job} did not end")


def search(known: dict[str, str], database: dict[str, str], var: Path, log: str) -> Iterator[tuple[str, str]]:
    """What was found, and where."""
    looked_for = {what: forms(secret) for what, secret in known.items()}
    places = [("the log", log), *cells(database["DATABASE_URL"]), *files(var)]
    assert len(places) > 200
    for where, text in places:
        for what, texts in looked_for.items():
            if any(one in text for one in texts):
                yield what, where


def files(var: Path) -> Iterator[tuple[str, str]]:
    """Every file that the installation wrote; the database is read by its tables."""
    for path in var.rglob("*"):
        if path.is_file() and "sqlite3" not in path.name:
            yield f"var/{path.relative_to(var)}", path.read_bytes().decode("latin-1")


def cells(url: str) -> Iterator[tuple[str, str]]:
    """Every value of every column of every table; bytes as characters, on PostgreSQL in hexadecimal."""
    if not url.startswith("sqlite"):
        yield from cells_of_postgresql(url)
        return
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as database:
        for (table,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            rows = database.execute(f'SELECT * FROM "{table}"')
            columns = [one[0] for one in rows.description]
            for row in rows:
                for column, value in zip(columns, row, strict=True):
                    if value is not None:
                        text = value.decode("latin-1") if isinstance(value, bytes) else str(value)
                        yield f"{table}.{column}", text


def cells_of_postgresql(url: str) -> Iterator[tuple[str, str]]:
    with psycopg.connect(url) as database:
        found = database.execute(
            "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'public'"
        )
        for table, column in found.fetchall():
            for (text,) in database.execute(f'SELECT "{column}"::text FROM "{table}"'):
                if text is not None:
                    yield f"{table}.{column}", text


@pytest.mark.parametrize("dressed", [
    lambda raw: raw.decode(), lambda raw: raw.hex(), lambda raw: base64.b64encode(b"a" + raw + b"bc").decode(),
    lambda raw: base64.urlsafe_b64encode(b"ab" + raw).decode(), lambda raw: base64.b64encode(raw + b"x").decode(),
    lambda raw: json.dumps({"nested": {"key": raw.decode()}}), lambda raw: quote(raw.decode()),
])  # fmt: skip
def test_a_secret_in_other_clothes_would_be_found(dressed: Any) -> None:
    secret = mark("a key")
    assert any(one in dressed(secret.encode()) for one in forms(secret))
    assert not any(one in dressed(mark("a key").encode()) for one in forms(secret))


def test_every_cell_of_a_database_is_looked_at(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "a.sqlite3", autocommit=True)) as database:
        database.execute("CREATE TABLE rows (text TEXT, bytes BLOB, number INTEGER)")
        database.execute("INSERT INTO rows VALUES (?, ?, ?)", ("a text", b"some bytes", 1))
    assert list(cells(f"sqlite:///{tmp_path}/a.sqlite3")) == [
        ("rows.text", "a text"), ("rows.bytes", "some bytes"), ("rows.number", "1"),
    ]  # fmt: skip
