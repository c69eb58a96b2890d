"""Tools for agents: which keys may call, what a call is that is sent again, and how the answer is begun."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.core.signals import request_finished, request_started
from django.db import close_old_connections
from django.test import Client as HttpClient

from genfeed.front.connections import HANDED_OVER
from jobs.protocols.agents.inner import Call, _ask
from jobs.protocols.agents.running import key_of
from jobs.protocols.agents.tools import TOOLS
from tests.pricing.estimates.sold import IMAGES_OUT, make_sold

GIVEN = {"model": "fal-ai/flux/dev", "input": {"prompt": "a fox"}}
SESSION = {"HTTP_MCP_SESSION_ID": "abc"}


def test_the_same_call_of_a_session_has_the_same_key() -> None:
    assert key_of(SESSION, GIVEN, 3, now=0) == key_of(dict(SESSION), dict(GIVEN), 3, now=10_000)


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
    assert key_of(outer, given, request_id) != key_of(SESSION, GIVEN, 3)


def test_without_a_session_a_call_is_the_same_for_minutes_only() -> None:
    assert key_of({}, GIVEN, 3, now=1) == key_of({}, GIVEN, 3, now=599)
    assert key_of({}, GIVEN, 3, now=1) != key_of({}, GIVEN, 3, now=601)


def test_a_key_that_is_given_is_the_key() -> None:
    given = GIVEN | {"idempotency_key": "order 7"}

    assert key_of(SESSION, given, 3) == key_of({}, given, 99) == "mcp:order 7"


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
def test_nothing_is_streamed_without_a_request(make_key: Callable[..., str]) -> None:
    answer = HttpClient(headers={"Authorization": f"Bearer {make_key()}"}).get("/mcp")

    assert (answer.status_code, answer.headers["Allow"], answer.json()["code"]) == (405, "POST", "invalid_request")


@pytest.mark.django_db
def test_without_an_event_loop_agents_are_sent_to_the_api(make_key: Callable[..., str]) -> None:
    answer = post(HttpClient(headers={"Authorization": f"Bearer {make_key()}"}))

    assert (answer.status_code, answer.json()["code"]) == (503, "not_configured")


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
    outer = {"HTTP_AUTHORIZATION": f"Bearer {make_key('models:read')}", "HTTP_HOST": "testserver", "wsgi.errors": None}
    outer |= {"SERVER_NAME": "testserver", "SERVER_PORT": "80", "wsgi.url_scheme": "http", "REMOTE_ADDR": "127.0.0.1"}

    told = _ask(outer, call)

    assert told.status == status
    if status == 200:
        assert told.body.get("id", told.body.get("items", [{}])[0].get("id")) == "fal-ai/flux/dev"
    else:
        assert told.body["code"]
