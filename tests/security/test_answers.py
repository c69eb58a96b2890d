"""What every answer carries, whoever asks: no page in a frame, nothing private in a cache, nothing of our insides."""

import io
import json
import logging
import re
from collections.abc import Callable
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.test import Client as HttpClient
from pythonjsonlogger.orjson import OrjsonFormatter

from genfeed.logs import OneLineFormatter, logging_of
from tests.security.world import FOX, World, make_world

pytestmark = [pytest.mark.django_db, pytest.mark.once]

PRIVATE = (
    "/api/v1/jobs", "/api/v1/jobs/{job_id}", "/api/v1/batches/{batch_id}", "/api/v1/keys", "/api/v1/balance",
    "/api/v1/usage", "/api/v1/assets/{asset_id}", "/api/v1/webhook-endpoints", "/api/v1/webhook-secret",
    "/api/v1/models", "/v1/models", "/v1/videos", "/fal/queue/fal-ai/flux/dev/requests/{job_id}/status",
)  # fmt: skip


@pytest.fixture
def world(db: None) -> World:
    return make_world()


def keyed(world: World, **headers: str) -> HttpClient:
    return HttpClient(headers={"Authorization": f"Bearer {world.key}", **headers}, raise_request_exception=False)


def test_what_a_client_is_told_is_kept_by_no_shared_cache(world: World) -> None:
    http = keyed(world)
    shared = {}
    for path in PRIVATE:
        told = http.get(path.format(**world.ids)).headers
        control = told.get("Cache-Control", "")
        # Without a word, an answer to a request with Authorization is for its asker alone (RFC 9111, 3.5).
        if "public" in control or "s-maxage" in control or "must-revalidate" in control.replace("private", ""):
            shared[path] = control
    assert shared == {}


def test_a_secret_is_kept_by_no_cache_at_all(world: World) -> None:
    http = keyed(world)
    made = http.post(
        "/api/v1/keys", json.dumps({"name": "n", "scopes": ["models:read"]}), content_type="application/json"
    )
    assert "no-store" in made.headers.get("Cache-Control", "")
    assert "no-store" in http.get("/api/v1/webhook-secret").headers.get("Cache-Control", "")


@pytest.mark.parametrize("path", ["/admin/login/", "/playground", "/api/v1/docs", "/admin/nothing/", "/nothing"])
def test_no_page_is_shown_in_a_frame_or_guessed_to_be_something_else(path: str) -> None:
    answer = HttpClient().get(path)
    assert answer.headers["X-Frame-Options"] == "DENY"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "same-origin"
    policy = answer.headers["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in policy
    assert "unsafe-inline" not in policy.split("style-src")[0]
    assert "unsafe-eval" not in policy


def test_pages_of_the_admin_are_kept_by_no_cache(world: World, staff: Callable[[str], HttpClient]) -> None:
    http = staff("superuser")
    for path in ("/admin/", "/admin/jobs/job/", f"/admin/jobs/job/{world.ids['job_id']}/change/", "/admin/jobs/queue/"):
        assert "no-store" in http.get(path).headers["Cache-Control"], path


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example", "localhost@evil.example", "127.0.0.1:1/x", ""]
)
@pytest.mark.parametrize(
    "path", ["/admin/login/", "/api/v1/models", "/api/v1/jobs/{job_id}", "/fal/storage/upload/initiate"]
)
def test_no_answer_is_made_for_a_host_that_is_not_ours(world: World, host: str, path: str, settings: Any) -> None:
    settings.ALLOWED_HOSTS = ["localhost", "127.0.0.1"]
    http = HttpClient(headers={"Authorization": f"Bearer {world.key}"}, raise_request_exception=False)
    answer = http.get(path.format(**world.ids), headers={"Host": host, "X-Forwarded-Host": "evil.example"})
    assert answer.status_code in (400, 405)
    assert "evil.example" not in str(answer.headers)


def test_a_host_that_somebody_forwards_is_not_believed(world: World) -> None:
    answer = keyed(world).get(f"/api/v1/jobs/{world.ids['job_id']}", headers={"X-Forwarded-Host": "evil.example"})
    assert "evil.example" not in answer.content.decode()


@pytest.mark.parametrize(
    "path", ["/api/v1/jobs", "/v1/models", "/fal/queue/fal-ai/flux/dev", "/nothing", "/admin/jobs/job/"]
)
def test_a_crash_tells_nothing_of_our_insides(world: World, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(*_: Any, **__: Any) -> Any:
        raise RuntimeError("the-inside-of-us /srv/genfeed/secret")

    assert django_settings.DEBUG is False
    http = keyed(world)
    monkeypatch.setattr("django.db.models.query.QuerySet.filter", crash)
    answer = http.get(path)
    told = answer.content.decode() + str(answer.headers)
    assert "the-inside-of-us" not in told
    assert "Traceback" not in told
    assert "site-packages" not in told


@pytest.mark.parametrize(
    ("path", "method"),
    [("/api/v1/models", "get"), ("/api/v1/jobs", "get"), ("/v1/models", "get"), ("/mcp", "post"), ("/admin/", "get"),
     ("/api/v1/browser-tokens", "post"), ("/api/v1/nothing", "get")],
)  # fmt: skip
def test_no_page_of_others_reads_what_a_key_or_a_session_sees(
    world: World, staff: Callable[[str], HttpClient], path: str, method: str
) -> None:
    origin = {"Origin": "https://evil.example"}
    for http in (keyed(world), staff("superuser")):
        asked = getattr(http, method)(path, headers=origin)
        preflight = http.options(path, headers={**origin, "Access-Control-Request-Method": "GET"})
        for told in (asked.headers, preflight.headers):
            assert "Access-Control-Allow-Origin" not in told
            assert "Access-Control-Allow-Credentials" not in told


# --- what is written into headers and logs ---

FORGED = ("abc\r\nSet-Cookie: a=b", "abc\nforged", "a" * 500, "héllo wörld", "a b", "../../x", "{}", "\x1b[31mred")


@pytest.mark.parametrize("forged", FORGED)
def test_a_request_id_that_is_none_is_replaced(forged: str) -> None:
    answer = HttpClient().get("/api/v1/models", headers={"X-Request-Id": forged})
    told = answer.headers["X-Request-Id"]
    assert told.startswith("req_")
    assert "Set-Cookie" not in answer.headers
    assert answer.json()["requestId"] == told


@pytest.mark.parametrize("forged", FORGED)
def test_every_line_of_the_log_is_one_line_of_json(
    world: World, forged: str, capsys: pytest.CaptureFixture[str]
) -> None:
    told = logging_of("json", "DEBUG")["formatters"]["json"]
    handler = logging.StreamHandler()
    handler.setFormatter(OrjsonFormatter(told["fmt"], reserved_attrs=told["reserved_attrs"]))
    root, level = logging.getLogger(), logging.getLogger().level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    try:
        http = keyed(world, **{"Idempotency-Key": "k" * 8, "User-Agent": forged})
        body = json.dumps({**FOX, "input": {"prompt": forged}, "metadata": {"note": forged}})
        http.post("/api/v1/jobs", body, content_type="application/json")
        http.get(f"/api/v1/models/{forged}")
        http.get(f"/nothing/{forged}")
        http.post("/webhooks/fal/x/y", "{}", content_type="application/json")
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("{")]
    assert len(lines) >= 4
    assert all(isinstance(json.loads(line), dict) for line in lines)


@pytest.mark.parametrize("forged", [*FORGED, "a\u2028b", "a\x85b", "a\x9b31mb", "a\x7fb"])
def test_what_others_have_sent_begins_no_line_of_a_log_for_people_and_moves_no_cursor(
    world: World, forged: str
) -> None:
    told = logging_of("text", "DEBUG")["formatters"]["text"]
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(OneLineFormatter(told["fmt"], style=told["style"], defaults={"request_id": "-"}))
    root, level = logging.getLogger(), logging.getLogger().level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    try:
        keyed(world, **{"User-Agent": forged}).get(f"/nothing/{forged}")
        logging.getLogger("genfeed").warning("a provider says: %s", forged)
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
    lines = stream.getvalue().split("\n")
    assert [line for line in lines if line and not line[:4].isdigit()] == []
    assert any("a provider says" in line for line in lines)
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029]", stream.getvalue())


@pytest.mark.parametrize("key", ["a\x00b", "\u00e9" * 8, "a" * 5000, " ", "a\tb"])
def test_an_idempotency_key_that_is_none_is_refused_or_taken_as_it_is(world: World, key: str) -> None:
    http = keyed(world, **{"Idempotency-Key": key})
    answer = http.post("/api/v1/jobs", json.dumps(FOX), content_type="application/json")
    assert answer.status_code in (201, 400)
