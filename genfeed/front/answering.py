"""Running a WSGI application in a thread: short answers come back whole, long ones are sent while they are made."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from genfeed.front.bodies import ClientGoneError, Receive

Send = Callable[[Mapping[str, Any]], Awaitable[None]]
Header = tuple[bytes, bytes]
# What is sent at once: an answer that is shorter needs one step to the event loop.
PIECE = 262_144


@dataclass
class Answer:
    """An answer on its way. `body` was not sent yet; `receive` tells that the client left, where it may be asked."""

    send: Send
    loop: asyncio.AbstractEventLoop
    receive: Receive | None = None
    status: int = 500
    headers: list[Header] = field(default_factory=list)
    body: bytes = b""
    is_started: bool = False
    _is_gone: threading.Event = field(default_factory=threading.Event)
    _watch: asyncio.Task[None] | None = None

    def make(self, application: Callable[..., Iterable[bytes]], environ: dict[str, Any]) -> None:
        """Calls the application, in a thread. Raises ClientGoneError where nobody is there to be answered."""
        made = application(environ, self._start)
        try:
            pieces, size = [], 0
            for piece in made:
                if self._is_gone.is_set():
                    raise ClientGoneError("The client went away before its answer was whole.")
                pieces.append(piece)
                size += len(piece)
                if size >= PIECE:
                    asyncio.run_coroutine_threadsafe(self._pass_on(b"".join(pieces)), self.loop).result()
                    pieces, size = [], 0
            self.body = b"".join(pieces)
        finally:
            close = getattr(made, "close", None)
            if close:
                close()

    async def finish(self) -> None:
        """Sends what is left, in the event loop."""
        await self.start()
        await self.send({"type": "http.response.body", "body": self.body, "more_body": False})
        if self._watch:
            self._watch.cancel()

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
        await self.send({"type": "http.response.body", "body": piece, "more_body": True})

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
