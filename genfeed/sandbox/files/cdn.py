"""The CDN under /cdn: files for everybody, with ranges; uploads for those with a token or an upload address."""

import asyncio
import re
import time
from collections.abc import AsyncIterator
from typing import Any

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse

from genfeed.sandbox.files.store import File
from genfeed.sandbox.state import Sandbox
from genfeed.sandbox.wire import HTML, sever

RANGE = re.compile(r"bytes=(\d*)-(\d*)")
PIECE = 64 * 1024
SLOW_PIECES = 10
FILLING = bytes(PIECE)


async def serve(request: Request) -> Response:
    """GET and HEAD /cdn/files/…"""
    sandbox: Sandbox = request.app.state.sandbox
    file = sandbox.files.get(request.url.path, time.time())
    if file is None:
        return PlainTextResponse("Not Found", status_code=404)
    effects = file.effects
    if status := effects.get("file_status"):
        return PlainTextResponse("The sandbox was told to fail this file", status_code=status)
    if target := effects.get("file_redirect"):
        return Response(status_code=302, headers={"location": target})
    headers = {
        "content-type": effects.get("file_type", file.content_type),
        "accept-ranges": "bytes",
        "access-control-allow-origin": "*",
        "cache-control": "public, max-age=31536000, immutable",
    }
    if "file_bytes" in effects:
        return _oversize(file, effects["file_bytes"], headers)
    content = HTML if effects.get("file_html") else file.read()
    status, content = _cut_range(request.headers.get("range"), content, headers)
    headers["content-length"] = str(len(content))
    if request.method == "HEAD":
        return Response(status_code=status, headers=headers)
    if effects.get("file_cut"):
        return StreamingResponse(_half(request, content), status_code=status, headers=headers)
    if seconds := effects.get("file_seconds"):
        return StreamingResponse(_slowly(content, seconds), status_code=status, headers=headers)
    return Response(content, status_code=status, headers=headers)


def _cut_range(asked: str | None, content: bytes, headers: dict[str, str]) -> tuple[int, bytes]:
    """One range of bytes; several at once, and what is not understood, are answered with everything."""
    found = RANGE.fullmatch(asked.strip()) if asked else None
    if found is None or not (found[1] or found[2]):
        return 200, content
    total = len(content)
    start = int(found[1]) if found[1] else max(0, total - int(found[2]))
    end = min(int(found[2]), total - 1) if found[1] and found[2] else total - 1
    if start >= total or end < start:
        headers["content-range"] = f"bytes */{total}"
        return 416, b""
    headers["content-range"] = f"bytes {start}-{end}/{total}"
    return 206, content[start : end + 1]


def _oversize(file: File, size: int, headers: dict[str, str]) -> Response:
    """The true file, with zeros behind it up to `size` bytes; the length is not told beforehand."""

    async def pieces() -> AsyncIterator[bytes]:
        content = file.read()
        yield content
        for start in range(len(content), size, PIECE):
            yield FILLING[: min(PIECE, size - start)]

    return StreamingResponse(pieces(), headers=headers)


async def _slowly(content: bytes, seconds: float) -> AsyncIterator[bytes]:
    step = max(1, -(-len(content) // SLOW_PIECES))
    for start in range(0, len(content), step):
        await asyncio.sleep(seconds / SLOW_PIECES)
        yield content[start : start + step]


async def _half(request: Request, content: bytes) -> AsyncIterator[bytes]:
    yield content[: len(content) // 2]
    await asyncio.sleep(0.05)
    sever(request.scope)


async def store_upload(request: Request) -> Response:
    """PUT of a file, to the address that `initiate` gave; whoever knows it may."""
    sandbox: Sandbox = request.app.state.sandbox
    path = request.url.path
    expected = sandbox.uploads.expected.get(path)
    if expected is None:
        return PlainTextResponse("Not Found", status_code=404)
    content_type = request.headers.get("content-type") or expected.content_type
    sandbox.files.add_uploaded(path, await request.body(), content_type, expires_at=expected.expires_at)
    return Response(status_code=200)


async def store_part(request: Request) -> Response:
    """PUT of one part of a large file; at the end POST …/complete."""
    sandbox: Sandbox = request.app.state.sandbox
    path, _, last = request.url.path.rpartition("/")
    path, _, upload = path.partition("/multipart/")
    return await sandbox.uploads.take_part(sandbox, request, path, last, upload)


def cors(_request: Request) -> Response:
    """OPTIONS: pages may upload and read."""
    headers: dict[str, Any] = {
        "access-control-allow-origin": "*",
        "access-control-allow-methods": "GET, HEAD, PUT, POST, OPTIONS",
        "access-control-allow-headers": "*",
    }
    return Response(status_code=204, headers=headers)
