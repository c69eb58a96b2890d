"""Answers that are broken on the wire, and connections that are closed under the caller."""

import asyncio
import os
import socket
from collections.abc import MutableMapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
from starlette.types import ASGIApp, Receive, Scope, Send

from genfeed.sandbox.answers import JSON, MODEL_HOSTS, error_body, format_seconds
from genfeed.sandbox.faults import Rule

HTML = b"<!DOCTYPE html>\n<html><head><title>Bad gateway</title></head><body><h1>Bad gateway</h1></body></html>\n"
WRONG_SHAPE = orjson.dumps({"data": "maintenance", "results": 0})
OPEN_FILES = Path("/dev/fd")
# The server writes in threads of its own; the first half must be out before the connection goes.
FLUSH_SECONDS = 0.05


@dataclass(slots=True)
class Captured:
    """The answer an application would have sent."""

    status: int = 200
    body: bytearray = field(default_factory=bytearray)
    messages: list[MutableMapping[str, Any]] = field(default_factory=list)

    async def send(self, message: MutableMapping[str, Any]) -> None:
        """Take a message in the place of the connection."""
        self.messages.append(message)
        if message["type"] == "http.response.start":
            self.status = message["status"]
        else:
            self.body += message.get("body", b"")

    async def replay(self, send: Send) -> None:
        """Send everything after all."""
        for message in self.messages:
            await send(message)


async def answer_broken(rule: Rule, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    """Send what a rule asks for in the place of the answer of `app`."""
    captured: Captured | None = None
    if rule.accepted or (rule.hold and rule.status is None):
        captured = Captured()
        await app(scope, receive, captured.send)
    await asyncio.sleep(rule.hold)
    if rule.drop:
        sever(scope)
        return
    if captured is not None and rule.status is None:
        await captured.replay(send)
        return
    body = _failure_body(scope["path"], rule.status or 500)
    status = rule.status or 500
    if rule.body != "json":
        status = rule.status or 200
        body = await _broken_body(rule, app, scope, receive, body)
    content_type = "text/html; charset=utf-8" if rule.body == "html" else JSON
    headers = [(b"content-type", content_type.encode()), (b"content-length", str(len(body)).encode())]
    if rule.retry_after is not None:
        headers.append((b"retry-after", format_seconds(rule.retry_after).encode()))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    if rule.body != "truncated":
        await send({"type": "http.response.body", "body": body})
        return
    await send({"type": "http.response.body", "body": body[: len(body) // 2], "more_body": True})
    await asyncio.sleep(FLUSH_SECONDS)
    sever(scope)


def _failure_body(path: str, status: int) -> bytes:
    message = "The sandbox was told to fail this call"
    return orjson.dumps({"detail": message}) if path.startswith(MODEL_HOSTS) else error_body(status, message)


async def _broken_body(rule: Rule, app: ASGIApp, scope: Scope, receive: Receive, error: bytes) -> bytes:
    if rule.body == "html":
        return HTML
    if rule.body == "empty":
        return b""
    if rule.body == "wrong_shape":
        return WRONG_SHAPE
    whole = error
    if rule.status in (None, 200):
        captured = Captured()
        await app(scope, receive, captured.send)
        whole = bytes(captured.body)
    return whole[: len(whole) // 2] if rule.body == "malformed" else whole


def sever(scope: Scope) -> None:
    """Close the caller's connection at once, whatever was sent.

    An ASGI application cannot reach its connection, so the socket is found among this process's open files by the
    caller's address. `shutdown` works on the connection itself, also through a second descriptor.
    """
    host, port = scope["client"]
    caller = (host, int(port))
    for entry in OPEN_FILES.iterdir():
        try:
            copy = os.dup(int(entry.name))
        except OSError:
            continue
        if _is_connection_of(copy, caller):
            return


def _is_connection_of(descriptor: int, caller: tuple[str, int]) -> bool:
    try:
        connection = socket.socket(fileno=descriptor)
    except OSError:
        os.close(descriptor)
        return False
    with closing(connection):
        try:
            if connection.family not in (socket.AF_INET, socket.AF_INET6) or connection.getpeername()[:2] != caller:
                return False
            connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            return False
        return True
