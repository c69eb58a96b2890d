"""What happens to a call before its route sees it: noted, held up, failed on purpose, limited."""

import asyncio
from collections.abc import MutableMapping
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send

from genfeed.sandbox.answers import PlatformError, error_answer
from genfeed.sandbox.faults import Rule
from genfeed.sandbox.requestlog import Entry
from genfeed.sandbox.state import Sandbox
from genfeed.sandbox.wire import answer_broken

UNTOUCHED = ("/_sandbox", "/thumbnails/")


class Hardships:
    """ASGI middleware. The control API and the pictures are spared."""

    def __init__(self, app: ASGIApp, *, sandbox: Sandbox) -> None:
        self.app = app
        self.sandbox = sandbox

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].startswith(UNTOUCHED):
            await self.app(scope, receive, send)
            return
        key = _credential(scope)
        query = scope["query_string"].decode("latin-1")
        key_id = (key or "").partition(" ")[2].partition(":")[0].strip()
        entry = self.sandbox.log.add(Entry(scope["method"], scope["path"], query, key is not None, key_id))
        await asyncio.sleep(self.sandbox.latency_seconds())
        rule = self.sandbox.faults.failure_of(scope["method"], scope["path"], query)
        if rule is not None:
            entry.fault = _name(rule)
            await answer_broken(rule, self.app, scope, receive, _noting(entry, send))
            return
        wait = None
        if scope["path"].startswith("/v1/"):
            wait = self.sandbox.admit(f"all:{key}", self.sandbox.faults.rate_limit)
        if wait is None:
            await self.app(scope, receive, _noting(entry, send))
            return
        entry.fault = "rate_limit"
        refusal = error_answer(PlatformError(429, "Rate limit exceeded", retry_after=wait))
        await refusal(scope, receive, _noting(entry, send))


def _credential(scope: Scope) -> str | None:
    for name, value in scope["headers"]:
        if name == b"authorization":
            return str(value.decode("latin-1"))
    return None


def _name(rule: Rule) -> str:
    return "drop" if rule.drop else f"{rule.body} {rule.status or ''}".strip()


def _noting(entry: Entry, send: Send) -> Send:
    async def noting(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            entry.status = message["status"]
        await send(message)

    return noting
