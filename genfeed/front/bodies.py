"""Bodies of requests: read before a thread is taken; large ones come while a thread of their own reads them."""

from __future__ import annotations

import asyncio
import io
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import IO, Any

Receive = Callable[[], Awaitable[Mapping[str, Any]]]
# What is read ahead lies in memory so far, then in a temporary file.
_IN_MEMORY = 262_144
# For the whole of a body that is read ahead, which holds no thread; for the next piece of one that does.
BODY_SECONDS = 120.0
PIECE_SECONDS = 30.0
# Bytes a second, averaged over all the time that such a body was waited for, once it is longer than a piece may take.
SLOWEST = 4_096
# What all bodies that are read ahead take on the disk of one process, beyond what each has in memory.
MOST_ON_DISK = 536_870_912
# The protocol of resumable uploads: what came of a body that is cut off counts, so it is never read ahead.
_RESUMABLE = b"application/offset+octet-stream"


class ClientGoneError(OSError):
    """The client went away before the request or its answer was whole."""


class RefusedBodyError(Exception):
    """A body that is not waited for any longer: the status to answer with, and in words why and what to do."""

    def __init__(self, status: int, code: str, message: str, hint: str) -> None:
        super().__init__(message)
        self.status, self.code, self.hint = status, code, hint


class Disk:
    """Where bodies that a process reads ahead lie, and how many bytes more may lie there. For the event loop alone."""

    def __init__(self, folder: str | None = None) -> None:
        self.folder = folder
        self.left = MOST_ON_DISK


class _Ahead(tempfile.SpooledTemporaryFile[bytes]):
    """A body that is read ahead: in memory, or larger ones in a file that gives its place back when it is closed."""

    def __init__(self, disk: Disk) -> None:
        super().__init__(_IN_MEMORY, dir=disk.folder)
        self._disk, self._size, self._held = disk, 0, 0

    def add(self, piece: bytes) -> None:
        """Raises RefusedBodyError where the disk has no place for it."""
        self._size += len(piece)
        held = self._size if self._size > _IN_MEMORY else 0
        if held - self._held > self._disk.left:
            raise _too_many()
        self._disk.left -= held - self._held
        self._held = held
        self.write(piece)

    def close(self) -> None:
        self._disk.left += self._held
        self._held = 0
        super().close()


async def read_ahead(scope: Mapping[str, Any], receive: Receive, *, largest: int, disk: Disk) -> IO[bytes] | None:
    """The whole body, or None where it is to be read piece by piece: resumable, or said to have over `largest` bytes.

    Raises ClientGoneError; RefusedBodyError after BODY_SECONDS, where `disk` is full, and for more than `largest` bytes
    that were not announced: Django would take them for none.
    """
    headers = dict(scope["headers"])
    if headers.get(b"content-type", b"").lower().startswith(_RESUMABLE):
        return None
    length = None if b"transfer-encoding" in headers else headers.get(b"content-length")
    if length is not None and (not length.isdigit() or int(length) > largest):
        return None
    # Since HTTP/2 the end of a request is marked, and a body needs neither header.
    is_marked = b"transfer-encoding" in headers or not scope["http_version"].startswith("1")
    if length == b"0" or (length is None and not is_marked):
        return io.BytesIO()
    # Spooled: a thousand clients that send slowly must not hold a thousand bodies in memory.
    file = _Ahead(disk)
    try:
        async with asyncio.timeout(BODY_SECONDS):
            await _copy(receive, file, largest)
    except BaseException as error:
        file.close()
        if isinstance(error, TimeoutError):
            raise _too_slow() from None
        raise
    file.seek(0)
    return file


async def _copy(receive: Receive, file: _Ahead, largest: int) -> None:
    size, more = 0, True
    while more:
        piece, more = _piece(await receive())
        size += len(piece)
        if size > largest:
            raise _too_large(largest)
        file.add(piece)


class BodyReader(io.RawIOBase):
    """A body that a thread reads while the event loop receives it."""

    def __init__(self, receive: Receive, loop: asyncio.AbstractEventLoop) -> None:
        self._receive = receive
        self._loop = loop
        self._left = b""
        self._more = True
        self._came, self._waited = 0, 0.0

    def readable(self) -> bool:
        return True

    def readinto(self, target: Any) -> int:
        """The next bytes, 0 at the end; raises ClientGoneError where the body never becomes whole."""
        while self._more and not self._left:
            started = time.monotonic()
            self._left, self._more = _piece(self._next())
            self._came += len(self._left)
            self._waited += time.monotonic() - started
            if self._more and self._waited > PIECE_SECONDS and self._came < self._waited * SLOWEST:
                # A byte now and then would hold the thread for ever.
                raise ClientGoneError(f"The client sent less than {SLOWEST} bytes a second.")
        count = min(len(target), len(self._left))
        target[:count], self._left = self._left[:count], self._left[count:]
        return count

    def _next(self) -> Mapping[str, Any]:
        coming = asyncio.run_coroutine_threadsafe(_next(self._receive), self._loop)
        try:
            return coming.result(PIECE_SECONDS)
        except TimeoutError:
            coming.cancel()
            raise ClientGoneError(f"The client sent nothing for {PIECE_SECONDS:.0f} s.") from None


async def _next(receive: Receive) -> Mapping[str, Any]:
    return await receive()


def _piece(message: Mapping[str, Any]) -> tuple[bytes, bool]:
    if message["type"] == "http.disconnect":
        raise ClientGoneError("The client went away before its request was whole.")
    return message.get("body", b""), bool(message.get("more_body", False))


def _too_slow() -> RefusedBodyError:
    message = f"The body did not arrive within {BODY_SECONDS:.0f} s."
    return RefusedBodyError(408, "timeout", message, "Send it again, or in smaller parts.")


def _too_many() -> RefusedBodyError:
    message = "Too many large bodies are being sent at the same time."
    return RefusedBodyError(503, "too_many_in_flight", message, "Send it again in some seconds, or files by an upload.")


def _too_large(largest: int) -> RefusedBodyError:
    message = f"A body without a Content-Length may have {largest} bytes."
    return RefusedBodyError(413, "payload_too_large", message, "Send less, or tell the length.")
