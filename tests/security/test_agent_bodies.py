"""Whatever an agent sends to /mcp is answered, in the protocol's own form, and breaks nothing of ours.

GENFEED_FUZZ=N sends N messages instead of a few (`make fuzz`).
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import orjson
import pytest
from django.test import Client as HttpClient
from hypothesis import given
from hypothesis import strategies as st

from genfeed.clients.limits import reads
from genfeed.front.connections import HANDED_OVER
from jobs.protocols.agents import running
from jobs.protocols.agents.inner import Call, Told, _ask
from jobs.protocols.agents.tools import TOOLS
from tests.security.fuzzing import same_each_time, sends  # noqa: F401 - a fixture
from tests.security.undone import undone
from tests.security.world import MODEL, World, make_world

pytestmark = pytest.mark.django_db

PATIENCE_SECONDS = 60
TYPES = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
FIELDS = sorted({name for tool in TOOLS.values() for name in tool.fields})
WORDS = [MODEL, "a fox", "job_1", "0.05", "-1", "", "../keys", "a?b=c#d", "\r\nX-Evil: 1", "\0", "{}", "2026-01-01"]
TEXTS = st.sampled_from(WORDS) | st.text(max_size=20)
NUMBERS = st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
ARGUMENTS = st.one_of(
    st.fixed_dictionaries({"model": st.just(MODEL), "input": st.fixed_dictionaries({"prompt": TEXTS})},
                          optional=dict.fromkeys(("max_price", "metadata", "wait_seconds", "idempotency_key"), VALUES)),
    st.dictionaries(st.sampled_from(FIELDS), VALUES, max_size=4),
    VALUES,
)  # fmt: skip
CALLS = st.fixed_dictionaries(
    {
        "jsonrpc": st.just("2.0"),
        "id": st.integers(0, 9) | TEXTS,
        "method": st.just("tools/call"),
        "params": st.fixed_dictionaries({"name": st.sampled_from([*TOOLS, "nothing"]), "arguments": ARGUMENTS}),
    }
)
METHODS = [
    "initialize",
    "ping",
    "tools/list",
    "tools/call",
    "resources/read",
    "notifications/cancelled",
    "",
    "__init__",
]
MESSAGES = st.fixed_dictionaries(
    {"method": st.sampled_from(METHODS)}, optional={"jsonrpc": VALUES, "id": VALUES, "params": VALUES, "result": VALUES}
)
BODIES = st.one_of(CALLS, CALLS, MESSAGES, st.lists(MESSAGES, max_size=3), VALUES)


class Receiver:
    """Where the answer is written to, in the place of a connection."""

    end_reason = ""

    def __init__(self) -> None:
        self.status, self.body = 0, b""

    def on_end(self, call: Any) -> None:
        """Nobody leaves."""

    def decide(self, status: int, _headers: Any, body: bytes) -> None:
        self.status, self.body = status, body

    async def begin(self, status: int, _headers: Any) -> None:
        self.status = status

    async def write(self, data: bytes) -> None:
        self.body += data


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch, settings: Any) -> World:
    """Tools ask the API in this very thread, whose transaction sees what the test has made."""

    async def ask(outer: Any, call: Call) -> Told:
        return _ask(outer, call)

    async def was_answered(*_: Any, **__: Any) -> bool:
        return False

    async def nothing(_watcher: Any) -> None:
        pass

    settings.SYNC_WAIT_SECONDS = 0
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
    monkeypatch.setattr("jobs.protocols.agents.serving.ask", ask)
    monkeypatch.setattr(running, "ask", ask)
    monkeypatch.setattr(running, "was_answered", was_answered)
    monkeypatch.setattr(running.hub, "add", nothing)
    monkeypatch.setattr(running.hub, "remove", lambda _watcher: None)
    return make_world()


def post(world: World, body: bytes) -> tuple[int, bytes]:
    """Status and body of the answer to one message."""
    reads.forget()
    http = HttpClient(headers={"Authorization": f"Bearer {world.key}", **TYPES})
    with undone():
        answer = http.post("/mcp", body, content_type="application/json", **{HANDED_OVER: None})  # type: ignore[arg-type]
        stream = answer.wsgi_request.environ.get(HANDED_OVER)
        if stream is None:
            return answer.status_code, answer.content
        told = Receiver()
        try:
            asyncio.run(asyncio.wait_for(stream.run(told), PATIENCE_SECONDS))
        finally:
            stream.close()
    return told.status, told.body


@pytest.mark.usefixtures("same_each_time")
def test_a_message_that_nobody_foresaw_is_answered(world: World, caplog: pytest.LogCaptureFixture) -> None:
    @sends(60)
    @given(body=BODIES)
    def run(body: Any) -> None:
        try:
            sent = orjson.dumps(body)
        except TypeError:
            # Half a character, which no JSON can hold.
            return
        caplog.clear()
        status, told = post(world, sent)
        broken = [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]
        assert (100 < status < 500, broken) == (True, []), (body, status, told)

    run()


CALL = b'{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "%s", "arguments": %s}}'
STRANGE = {
    "nothing": b"",
    "no JSON": b"\x00\xff\xfe",
    "half a text": b'{"jsonrpc": "2.0", "id',
    "a mark of order": b'\xef\xbb\xbf{"jsonrpc": "2.0", "id": 1, "method": "ping"}',
    "lists without end": b"[" * 100_000,
    "objects in objects": b'{"a":' * 5_000 + b"1" + b"}" * 5_000,
    "a deep input": CALL % (b"estimate", b'{"model": "a", "input": ' + b'{"a":' * 900 + b"1" + b"}" * 901),
    "a huge number": CALL % (b"list_models", b'{"limit": 1' + b"0" * 5_000 + b"}"),
    "a number beyond 64 bits": CALL % (b"run_job", b'{"model": "fal-ai/flux/dev", "input": {"prompt": %d}}' % 2**80),
    "half a character": CALL % (b"get_model_schema", b'{"model": "\\ud800"}'),
    "half a character inside": CALL % (b"run_job", b'{"model": "fal-ai/flux/dev", "input": {"prompt": "\\ud800"}}'),
    "a null character": CALL % (b"search_models", b'{"query": "\\u0000"}'),
    "many fields": CALL % (b"estimate", orjson.dumps({f"k{number}": number for number in range(20_000)})),
    "an id of a megabyte": b'{"jsonrpc": "2.0", "id": "' + b"a" * 1_000_000 + b'", "method": "ping"}',
    "many messages": b"[" + b",".join([b'{"jsonrpc": "2.0", "id": 1, "method": "ping"}'] * 5_000) + b"]",
}  # fmt: skip


@pytest.mark.parametrize("strange", STRANGE)
def test_a_strange_message_is_the_agents_mistake(world: World, strange: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.clear()
    status, told = post(world, STRANGE[strange])

    broken = [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]
    assert (100 < status < 500, broken) == (True, []), (status, told[:500])
    # What was sent is not sent back in full.
    assert len(told) < max(20_000, 2 * len(STRANGE[strange]))
