"""Bodies of requests: small ones are read before a thread is taken, large ones while it reads them."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

Receive = Callable[[], Awaitable[Mapping[str, Any]]]
# A client that sends slowly must not hold a thread for it; what is larger may, or it would hold the memory.
SMALL = 65_536


class ClientGoneError(OSError):
    """The client went away before the request or its answer was whole."""


async def small_body(headers: Mapping[bytes, bytes], receive: Receive) -> io.BytesIO | None:
    """The body where there is none or a small one, None where it is to be read piece by piece.

    Raises ClientGoneError.
    """
    if b"transfer-encoding" in headers:
        return None
    length = headers.get(b"content-length", b"0")
    if length == b"0":
        return io.BytesIO()
    if not length.isdigit() or int(length) > SMALL:
        return None
    pieces, more = [], True
    while more:
        piece, more = _piece(await receive())
        pieces.append(piece)
    return io.BytesIO(b"".join(pieces))


class BodyReader(io.RawIOBase):
    """A body that a thread reads while the event loop receives it."""

    def __init__(self, receive: Receive, loop: asyncio.AbstractEventLoop) -> None:
        self._receive = receive
        self._loop = loop
        self._left = b""
        self._more = True

    def readable(self) -> bool:
        return True

    def readinto(self, target: Any) -> int:
        """The next bytes, 0 at the end; raises ClientGoneError where the body never becomes whole."""
        while self._more and not self._left:
            self._left, self._more = _piece(asyncio.run_coroutine_threadsafe(_next(self._receive), self._loop).result())
        count = min(len(target), len(self._left))
        target[:count], self._left = self._left[:count], self._left[count:]
        return count


async def _next(receive: Receive) -> Mapping[str, Any]:
    return await receive()


def _piece(message: Mapping[str, Any]) -> tuple[bytes, bool]:
    if message["type"] == "http.disconnect":
        raise ClientGoneError("The client went away before its request was whole.")
    return message.get("body", b""), bool(message.get("more_body", False))
