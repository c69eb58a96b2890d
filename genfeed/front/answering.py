"""Running a WSGI application in a thread: short answers come back whole, long ones are sent while they are made.

Files are sent by the event loop, which takes a thread only while a piece is read: a slow reader holds none.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from genfeed.front.bodies import ClientGoneError, Receive

Send = Callable[[Mapping[str, Any]], Awaitable[None]]
Header = tuple[bytes, bytes]
# What is sent at once: an answer that is shorter needs one step to the event loop.
PIECE = 262_144
# Of a file: a server keeps several for each slow reader, and there may be a thousand of those.
FILE_PIECE = 65_536
# A client that takes nothing for so long is gone; a sleeping laptop keeps its connection for hours.
WRITE_SECONDS = 30.0


class SentFile:
    """WSGI's `wsgi.file_wrapper`: an application that returns one leaves it to the front to read and close it."""

    def __init__(self, file: Any, _block_size: int = 0) -> None:
        self._file = file

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.read, b"")

    def read(self) -> bytes:
        """The next FILE_PIECE of bytes; less at the end alone, also of files that give less than they are asked for."""
        whole = b""
        while len(whole) < FILE_PIECE and (piece := self._file.read(FILE_PIECE - len(whole))):
            whole += piece
        return whole

    def close(self) -> None:
        self._file.close()


@dataclass
class Answer:
    """An answer on its way. `body` was not sent yet, and what is left of `file` comes after it.

    `receive` tells that the client left, where it may be asked.
    """

    send: Send
    loop: asyncio.AbstractEventLoop
    receive: Receive | None = None
    status: int = 500
    headers: list[Header] = field(default_factory=list)
    body: bytes = b""
    file: SentFile | None = None
    is_started: bool = False
    _is_gone: threading.Event = field(default_factory=threading.Event)
    _watch: asyncio.Task[None] | None = None

    def make(self, application: Callable[..., Iterable[bytes]], environ: dict[str, Any]) -> None:
        """Calls the application, in a thread. Raises ClientGoneError where nobody is there to be answered."""
        made = application(environ, self._start)
        if isinstance(made, SentFile):
            self.file = made
            self.body = made.read()
            return
        try:
            pieces: list[bytes] = []
            size = 0
            for piece in made:
                # Only before another one: what Django has whole is sent without a thread.
                if size >= PIECE:
                    asyncio.run_coroutine_threadsafe(self._pass_on(b"".join(pieces)), self.loop).result()
                    pieces, size = [], 0
                if self._is_gone.is_set():
                    raise _gone()
                pieces.append(piece)
                size += len(piece)
            self.body = b"".join(pieces)
        finally:
            close = getattr(made, "close", None)
            if close:
                close()

    async def finish(self) -> None:
        """Sends what is left, in the event loop. Raises ClientGoneError where nobody takes the pieces of a file."""
        while self.file and len(self.body) == FILE_PIECE:
            await self._pass_on(self.body)
            if self._is_gone.is_set():
                raise _gone()
            self.body = await asyncio.to_thread(self.file.read)
        await self.start()
        await self.send({"type": "http.response.body", "body": self.body, "more_body": False})

    def close(self) -> None:
        """Gives back what an answer holds, whether it was sent or not; called once."""
        if self._watch:
            self._watch.cancel()
        if self.file:
            self.file.close()

    async def start(self) -> None:
        """Sends status and headers, once."""
        if not self.is_started:
            self.is_started = True
            await self.send({"type": "http.response.start", "status": self.status, "headers": self.headers})

    async def _pass_on(self, piece: bytes) -> None:
        await self.start()
        # What is sent to nobody is no error to the server: without a word the rest would be made in vain.
        if self._watch is None and self.receive is not None:
            self._watch = self.loop.create_task(self._wait_until_gone(self.receive))
        try:
            await self.write(piece)
        except TimeoutError:
            self._is_gone.set()
            raise _gone() from None

    async def write(self, data: bytes) -> None:
        """Sends bytes, more of which will come; raises TimeoutError where the client takes none."""
        async with asyncio.timeout(WRITE_SECONDS):
            await self.send({"type": "http.response.body", "body": data, "more_body": True})

    async def _wait_until_gone(self, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self._is_gone.set()

    def _start(self, status: str, headers: list[tuple[str, str]], _error: Any = None) -> Callable[[bytes], None]:
        self.status = int(status[:3])
        self.headers = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]
        return self._no_write

    def _no_write(self, _piece: bytes) -> None:
        raise RuntimeError("Django returns its answers; it never writes them piece by piece.")


def _gone() -> ClientGoneError:
    return ClientGoneError("The client went away before its answer was whole.")
