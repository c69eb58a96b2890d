"""One request of the protocol: answered by the official package, held by the event loop, without a session to keep."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Mapping
from itertools import islice
from typing import Any

import jsonschema_rs
import orjson
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import Server
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.shared.exceptions import MCPError
from mcp.types import (
    INVALID_PARAMS,
    CallToolRequestParams,
    CallToolResult,
    ListToolsResult,
    PaginatedRequestParams,
    TextContent,
    ToolAnnotations,
)
from mcp.types import Tool as ToolShape

from genfeed.clients.keys import Caller
from genfeed.front.connections import Connection
from jobs.events.slots import Slot
from jobs.protocols.agents.inner import ask
from jobs.protocols.agents.running import run
from jobs.protocols.agents.tools import TOOLS

logger = logging.getLogger(__name__)

_ABOUT = (
    "Generative media: images, videos, sound, 3D and text by many models. search_models, then get_model_schema, then "
    "estimate what the request costs, then run_job."
)
_REPEATED = {
    "repeated": True,
    "note": "The same call came before, and this is its job: nothing was run again. To run it once more, send an "
    "idempotency_key of its own.",
}
_MOST_PROBLEMS, _LONGEST_PROBLEM = 5, 500
_VALIDATORS = {name: jsonschema_rs.validator_for(tool.input_schema) for name, tool in TOOLS.items()}
_SHAPES = [
    ToolShape(
        name=tool.name,
        description=tool.description,
        input_schema=tool.input_schema,
        annotations=ToolAnnotations(read_only_hint=tool.reads_only, open_world_hint=True),
    )
    for tool in TOOLS.values()
]


class AgentAnswer:
    """The answer to one POST. `environ` is that of its request, `body` what was sent."""

    answers_late = True

    def __init__(self, slot: Slot, *, environ: Mapping[str, Any], body: bytes, caller: Caller) -> None:
        self._slot = slot
        self._environ, self._body, self._caller = environ, body, caller
        self._connection: Connection | None = None
        self._ended = asyncio.Event()
        self._was_read = False
        self._head: tuple[int, dict[str, str]] | None = None
        self._has_begun = False

    async def run(self, connection: Connection) -> None:
        """Has the package answer; ends when it has, or when the client or this process does."""
        self._connection = connection
        connection.on_end(lambda _reason: self._ended.set())
        server = Server("GenFeed", instructions=_ABOUT, on_list_tools=_list_tools, on_call_tool=self._call_tool)
        manager = StreamableHTTPSessionManager(server, stateless=True, max_request_body_size=len(self._body) + 1)
        async with manager.run():
            await manager.handle_request(self._scope(), self._receive, self._send)

    def close(self) -> None:
        """Gives back what it holds; called once, whether it ran or not."""
        self._slot.give_back()

    async def _call_tool(self, ctx: ServerRequestContext[Any], params: CallToolRequestParams) -> CallToolResult:
        tool, given = TOOLS.get(params.name), dict(params.arguments or {})
        if tool is None:
            raise MCPError(INVALID_PARAMS, f"There is no tool {params.name[:80]!r}.")
        if missing := [scope for scope in tool.scopes if not self._caller.may(scope)]:
            words = f"This key lacks {', '.join(missing)}, so nothing was run."
            return self._refused("forbidden_scope", words, "Use a key that has it.")
        if problems := _problems(params.name, given):
            hint = "Correct it, and call again; nothing was run."
            return self._refused("invalid_request", "; ".join(problems), hint)
        call = tool.call(given)
        if params.name == "run_job":

            async def tell(seconds: float, message: str) -> None:
                await ctx.session.report_progress(round(seconds, 1), None, message)

            told = await run(
                self._environ, call, given, client_id=self._caller.client_id, request_id=ctx.request_id, tell=tell
            )
        else:
            told = await ask(self._environ, call)
        if told.status >= 400:
            again = {"retry_after": told.retry_after} if told.retry_after else {}
            return _result(told.body | again, is_error=True)
        return _result(tool.show(told.body) | (_REPEATED if told.is_repeated else {}), is_error=False)

    def _refused(self, code: str, message: str, hint: str) -> CallToolResult:
        """An error as the API gives it."""
        request_id = self._environ["genfeed.request_id"]
        return _result({"code": code, "message": message, "hint": hint, "requestId": request_id}, is_error=True)

    def _scope(self) -> dict[str, Any]:
        headers = [
            (name.removeprefix("HTTP_").lower().replace("_", "-").encode(), value.encode("latin-1"))
            for name, value in self._environ.items()
            if name.startswith("HTTP_") or name == "CONTENT_TYPE"
        ]
        return {
            "type": "http", "http_version": "1.1", "method": "POST", "path": "/mcp", "raw_path": b"/mcp",
            "root_path": "", "query_string": b"", "scheme": "http", "headers": headers, "state": {},
        }  # fmt: skip

    async def _receive(self) -> dict[str, Any]:
        if not self._was_read:
            self._was_read = True
            return {"type": "http.request", "body": self._body, "more_body": False}
        await self._ended.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Mapping[str, Any]) -> None:
        connection = self._connection
        if connection is None or connection.end_reason == "gone":
            return
        if message["type"] == "http.response.start":
            headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in message["headers"]}
            if _is_initialize(self._body):
                # Nothing is kept under it: it tells the calls of one client from those of another start of it.
                headers["mcp-session-id"] = secrets.token_hex(16)
            self._head = message["status"], headers
            return
        if self._head is None:
            return
        body, more = message.get("body", b""), message.get("more_body", False)
        if not more and not self._has_begun:
            connection.decide(*self._head, body)
            return
        if not self._has_begun:
            self._has_begun = True
            await connection.begin(*self._head)
        if body:
            await connection.write(body)


def _problems(tool: str, given: dict[str, Any]) -> list[str]:
    """What is wrong with the arguments of a call, at most five things of it, and none of it at length."""
    try:
        orjson.dumps(given)
    except TypeError as error:
        # A number beyond 64 bits, half a character, or deeper than anything we write.
        return [f"The arguments can't be passed on: {error}"]
    found = islice(_VALIDATORS[tool].iter_errors(given), _MOST_PROBLEMS)
    return [problem.message[:_LONGEST_PROBLEM] for problem in found]


async def _list_tools(_ctx: ServerRequestContext[Any], _params: PaginatedRequestParams | None) -> ListToolsResult:
    return ListToolsResult(tools=_SHAPES)


def _result(body: Any, *, is_error: bool) -> CallToolResult:
    text = TextContent(type="text", text=orjson.dumps(body).decode())
    return CallToolResult(content=[text], structured_content=body, is_error=is_error)


def _is_initialize(body: bytes) -> bool:
    try:
        told = orjson.loads(body)
    except orjson.JSONDecodeError:
        return False
    return isinstance(told, dict) and told.get("method") == "initialize"
