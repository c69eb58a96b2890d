"""An answer that stays open: what a stream writes to, and how it learns that it has to end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from genfeed.front.answering import Answer
from genfeed.front.bodies import Receive

# Where a view leaves its stream for the front; that there is a front at all is said by the key's being there.
HANDED_OVER = "genfeed.stream"


class Connection:
    """The open answer of one stream. `ended` calls back, once, when the client left or this process stops."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self._on_end: Callable[[str], None] | None = None
        self.end_reason = ""

    async def write(self, data: bytes) -> None:
        """Sends bytes. Raises OSError or TimeoutError where the client takes none."""
        await self._answer.write(data)

    async def begin(self, status: int, headers: Mapping[str, str]) -> None:
        """Begins an answer that is written from now on, of a stream that answers late; headers as of `decide`."""
        self._lay(status, headers)
        self._answer.body = b""
        await self._answer.start()

    def decide(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        """The whole answer of a stream that answers late; headers are laid over those of the view."""
        self._lay(status, {**headers, "Content-Length": str(len(body))})
        self._answer.body = body

    def _lay(self, status: int, headers: Mapping[str, str]) -> None:
        own = {name.lower().encode("latin-1"): value.encode("latin-1") for name, value in headers.items()}
        kept = [header for header in self._answer.headers if header[0] not in own]
        self._answer.status, self._answer.headers = status, [*kept, *own.items()]

    def on_end(self, call: Callable[[str], None]) -> None:
        """Calls with `gone` or `stopping` when the stream has to end, at once where that was before."""
        self._on_end = call
        if self.end_reason:
            call(self.end_reason)

    def end(self, reason: str) -> None:
        """Tells the stream to end; the first reason counts."""
        if not self.end_reason:
            self.end_reason = reason
            if self._on_end:
                self._on_end(reason)


class Stream(Protocol):
    """What a view hands over: `run` writes until there is nothing more, `close` is called in any case, once.

    One with a true `answers_late` `decide`s on status, headers and body at its end, or `begin`s to write before.
    """

    async def run(self, connection: Connection) -> None: ...

    def close(self) -> None: ...


_open: set[Connection] = set()
_stopping = False


async def hold(stream: Stream, answer: Answer, receive: Receive) -> None:
    """Answers with a stream until it ends by itself, its client leaves or the process stops."""
    # What the view returned is not all of it.
    answer.headers = [header for header in answer.headers if header[0] != b"content-length"]
    connection = Connection(answer)
    _open.add(connection)
    if _stopping:
        connection.end("stopping")
    watch = asyncio.ensure_future(_watch(connection, receive))
    try:
        if not getattr(stream, "answers_late", False):
            await answer.start()
            if answer.body:
                await connection.write(answer.body)
                answer.body = b""
        await stream.run(connection)
        if connection.end_reason != "gone":
            await answer.finish()
    except (OSError, TimeoutError):
        # Nobody reads: what was sent last is asked for again by whoever comes back.
        return
    finally:
        watch.cancel()
        _open.discard(connection)


def end_all() -> None:
    """Has every stream of this process end, so that their clients go on elsewhere."""
    global _stopping
    _stopping = True
    for connection in list(_open):
        connection.end("stopping")


async def _watch(connection: Connection, receive: Receive) -> Any:
    while (await receive())["type"] != "http.disconnect":
        pass
    connection.end("gone")
