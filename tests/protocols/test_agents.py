"""Tools for agents: which keys may call, what a call is that is sent again, and how the answer is begun."""

import asyncio
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from django.core.signals import request_finished, request_started
from django.db import close_old_connections
from django.test import Client as HttpClient

from genfeed.front.connections import HANDED_OVER
from jobs.protocols.agents import running
from jobs.protocols.agents.inner import Call, Told, _ask
from jobs.protocols.agents.running import keys_of
from jobs.protocols.agents.tools import TOOLS
from tests.pricing.estimates.sold import IMAGES_OUT, make_sold

pytestmark = pytest.mark.once

PAGE = Path(__file__).resolve().parents[2] / "docs" / "agents.md"
GIVEN = {"model": "fal-ai/flux/dev", "input": {"prompt": "a fox"}}
SESSION = {"HTTP_MCP_SESSION_ID": "abc"}


def test_the_same_call_of_a_session_has_the_same_key() -> None:
    assert keys_of(SESSION, GIVEN, 3, now=0) == keys_of(dict(SESSION), dict(GIVEN), 3, now=10_000)


@pytest.mark.parametrize(
    ("outer", "given", "request_id"),
    [
        ({"HTTP_MCP_SESSION_ID": "other"}, GIVEN, 3),
        (SESSION, GIVEN | {"input": {"prompt": "a hen"}}, 3),
        (SESSION, GIVEN, 4),
        (SESSION, GIVEN, "3"),
        ({}, GIVEN, 3),
    ],
)
def test_another_call_has_another_key(outer: dict[str, str], given: dict[str, Any], request_id: Any) -> None:
    assert not set(keys_of(outer, given, request_id)) & set(keys_of(SESSION, GIVEN, 3))


@pytest.mark.parametrize(("later", "same"), [(598, True), (602, True), (1201, False)])
def test_without_a_session_a_call_is_known_by_the_key_of_minutes_ago(later: int, same: bool) -> None:
    first = keys_of({}, GIVEN, 3, now=597)[0]

    assert (first in keys_of({}, GIVEN, 3, now=later)) is same


def test_a_key_that_is_given_is_the_key() -> None:
    given = GIVEN | {"idempotency_key": "order 7"}

    assert keys_of(SESSION, given, 3) == keys_of({}, given, 99) == ["mcp:order 7"]


# --- what run_job tells ---

JOB = {"id": "job_1", "status": "running", "assets": []}
ACCEPTED = Told(201, JOB | {"status": "queued"})
REFUSED = {"code": "rate_limited", "message": "Too many.", "hint": "Wait."}
type Answers = list[Told]


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[Told, list[Call]]]:
    """What run_job answers where the API answers so, one after the other, and what it asked."""

    def run_job(answers: Answers, *, known: str = "", **given: Any) -> tuple[Told, list[Call]]:
        asked: list[Call] = []

        async def ask(_outer: Any, call: Call) -> Told:
            asked.append(call)
            return answers.pop(0)

        async def was_answered(_client_id: int, key: str, *, seconds: float) -> bool:
            return key == known

        async def tell(_seconds: float, _message: str) -> None:
            pass

        async def nothing(_watcher: Any) -> None:
            pass

        monkeypatch.setattr(running, "ask", ask)
        monkeypatch.setattr(running, "_LOOK_SECONDS", 0.01)
        monkeypatch.setattr(running, "was_answered", was_answered)
        monkeypatch.setattr(running.hub, "add", nothing)
        monkeypatch.setattr(running.hub, "remove", lambda _watcher: None)
        call = TOOLS["run_job"].call(GIVEN)
        work = running.run({}, call, GIVEN | given, client_id=1, request_id=3, tell=tell)
        return asyncio.run(asyncio.wait_for(work, 30)), asked

    return run_job


@pytest.mark.parametrize("status", [401, 403, 404])
def test_once_a_job_is_accepted_it_is_told_though_it_can_not_be_looked_at(told: Any, status: int) -> None:
    answer, asked = told([ACCEPTED, Told(status, REFUSED)])

    assert (answer.status, answer.body["id"], len(asked)) == (201, "job_1", 2)


def test_a_look_that_is_refused_for_now_is_tried_again(told: Any) -> None:
    answer, _ = told([ACCEPTED, Told(429, REFUSED, retry_after=0), Told(200, JOB | {"status": "failed"})])

    assert answer.body["status"] == "failed"


def test_a_wait_that_breaks_down_still_tells_the_job(told: Any) -> None:
    # Nothing is left to answer the look with.
    answer, _ = told([ACCEPTED])

    assert (answer.status, answer.body["id"]) == (201, "job_1")


def test_what_was_refused_is_not_waited_for(told: Any) -> None:
    answer, asked = told([Told(402, REFUSED)])

    assert (answer.status, len(asked)) == (402, 1)


def test_a_call_that_came_a_moment_ago_is_sent_under_its_key(told: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running.timezone, "now", lambda: datetime.fromtimestamp(602, UTC))
    earlier = keys_of({}, GIVEN, 3, now=597)[0]

    (_, (again, *_)) = told([Told(402, REFUSED)], known=earlier)
    (_, (new, *_)) = told([Told(402, REFUSED)])

    assert again.idempotency_key == earlier
    assert new.idempotency_key == keys_of({}, GIVEN, 3, now=602)[0]


@pytest.mark.parametrize("given", [{}, {"idempotency_key": "order 7"}])
def test_only_under_a_key_of_its_own_a_refusal_is_given_again(told: Any, given: dict[str, str]) -> None:
    _, (sent, *_) = told([Told(402, REFUSED)], **given)

    assert sent.forgets_refusals is not bool(given)


def test_the_page_tells_each_tool_and_what_it_needs() -> None:
    rows = re.findall(r"^\| (`[a-z_`, ]+) \| (`[a-z:`, ]+) \|", PAGE.read_text(), re.MULTILINE)
    shown = {
        name: tuple(re.findall(r"`(.*?)`", scopes)) for names, scopes in rows for name in re.findall(r"`(.*?)`", names)
    }

    assert shown == {tool.name: tool.scopes for tool in TOOLS.values()}


# --- who may call ---


def post(client: HttpClient, **extra: Any) -> Any:
    return client.post("/mcp", b"{}", content_type="application/json", **extra)


@pytest.mark.django_db
def test_a_key_is_needed_whatever_its_scopes(make_key: Callable[..., str]) -> None:
    key = make_key("usage:read")

    stranger = post(HttpClient(), **{HANDED_OVER: None})
    known = post(HttpClient(headers={"Authorization": f"Bearer {key}"}), **{HANDED_OVER: None})
    known.wsgi_request.environ[HANDED_OVER].close()

    assert (stranger.status_code, stranger.json()["code"]) == (401, "unauthorized")
    assert stranger.headers["WWW-Authenticate"] == "Bearer"
    assert known.status_code == 200


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("origin", "status"),
    [
        (None, 200),
        ("http://testserver", 200),
        ("https://media.example.com", 200),
        ("https://evil.example.com", 403),
        ("http://testserver:8443", 403),
        ("null", 403),
    ],
)
def test_a_page_of_another_site_may_not_call(
    make_key: Callable[..., str], settings: Any, origin: str | None, status: int
) -> None:
    settings.CSRF_TRUSTED_ORIGINS = ["https://media.example.com"]
    headers = {"Authorization": f"Bearer {make_key()}"} | ({"Origin": origin} if origin else {})

    answer = post(HttpClient(headers=headers), **{HANDED_OVER: None})
    if waiting := answer.wsgi_request.environ.get(HANDED_OVER):
        waiting.close()

    assert answer.status_code == status


@pytest.mark.django_db
def test_a_refusal_is_forgotten_where_it_is_asked_for(make_key: Callable[..., str], keeps_connection: None) -> None:
    make_sold("fal-ai/flux/dev", outputs=IMAGES_OUT)
    outer = outer_of(make_key("jobs:write"))
    asked = {keeps: replace(TOOLS["run_job"].call(GIVEN), idempotency_key=f"a {keeps}", forgets_refusals=not keeps)
             for keeps in (True, False)}  # fmt: skip

    told = {keeps: [_ask(outer, call) for _ in range(2)] for keeps, call in asked.items()}

    assert {one.status for pair in told.values() for one in pair} == {402}
    assert [told[keeps][1].is_repeated for keeps in (True, False)] == [True, False]


@pytest.mark.django_db
def test_nothing_is_streamed_without_a_request(make_key: Callable[..., str]) -> None:
    answer = HttpClient(headers={"Authorization": f"Bearer {make_key()}"}).get("/mcp")

    assert (answer.status_code, answer.headers["Allow"], answer.json()["code"]) == (405, "POST", "invalid_request")


@pytest.mark.django_db
def test_without_an_event_loop_agents_are_sent_to_the_api(make_key: Callable[..., str]) -> None:
    answer = post(HttpClient(headers={"Authorization": f"Bearer {make_key()}"}))

    assert (answer.status_code, answer.json()["code"]) == (503, "not_configured")


def outer_of(key: str) -> dict[str, Any]:
    """The environment of the request that calls a tool."""
    return {
        "HTTP_AUTHORIZATION": f"Bearer {key}", "HTTP_HOST": "testserver", "REMOTE_ADDR": "127.0.0.1",
        "SERVER_NAME": "testserver", "SERVER_PORT": "80", "wsgi.url_scheme": "http", "wsgi.errors": None,
    }  # fmt: skip


@pytest.fixture
def keeps_connection() -> Iterator[None]:
    """The test's transaction has one connection, which a request would close."""
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    yield
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("call", "status"),
    [
        (TOOLS["search_models"].call({"query": "flux dev", "limit": 1}), 200),
        (TOOLS["get_model_schema"].call({"model": "fal-ai/flux/dev"}), 200),
        (TOOLS["get_model_schema"].call({"model": "acme/größe"}), 404),
        (TOOLS["run_job"].call(GIVEN), 403),
        (Call("GET", "/api/v1/nothing"), 404),
    ],
)
def test_a_tool_asks_the_api_as_its_caller(
    make_key: Callable[..., str], keeps_connection: None, call: Call, status: int
) -> None:
    make_sold("fal-ai/flux/dev", outputs=IMAGES_OUT)

    told = _ask(outer_of(make_key("models:read")), call)

    assert told.status == status
    if status == 200:
        assert told.body.get("id", told.body.get("items", [{}])[0].get("id")) == "fal-ai/flux/dev"
    else:
        assert told.body["code"]
