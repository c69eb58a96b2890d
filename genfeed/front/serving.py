"""The ASGI application around a WSGI one: one port for short requests and for streams.

Every request runs through the whole WSGI application: who calls, limits, headers, logs are decided in one place. Where
a view hands over a stream, its answer has status and headers, and the event loop holds it open; no thread waits.
"""

from __future__ import annotations

import asyncio
import io
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

from genfeed.front import open_files, stopping
from genfeed.front.answering import Answer, Send
from genfeed.front.bodies import BodyReader, ClientGoneError, Receive, small_body
from genfeed.front.connections import HANDED_OVER, end_all, hold
from genfeed.front.environ import environ_of

Wsgi = Callable[..., Iterable[bytes]]


class Front:
    """An ASGI application that has a WSGI application answer in `threads` threads."""

    def __init__(self, application: Wsgi, *, threads: int) -> None:
        self._application = application
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="web")

    async def __call__(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            with suppress(ClientGoneError):
                await self._serve(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._live(receive, send)

    async def _serve(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        loop = asyncio.get_running_loop()
        body: Any = await small_body(dict(scope["headers"]), receive)
        is_read = body is not None
        if not is_read:
            body = io.BufferedReader(BodyReader(receive, loop), 65_536)
        environ = environ_of(scope, body)
        environ[HANDED_OVER] = None
        # While a thread reads the body, nobody else may receive.
        answer = Answer(send, loop, receive if is_read else None)
        try:
            await loop.run_in_executor(self._threads, answer.make, self._application, environ)
            stream = environ[HANDED_OVER]
            if stream is None or answer.status != 200:
                await answer.finish()
            else:
                await hold(stream, answer, receive)
        finally:
            if environ[HANDED_OVER] is not None:
                environ[HANDED_OVER].close()

    async def _live(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                open_files.allow_many()
                stopping.call_at_stop(end_all)
                await send({"type": "lifespan.startup.complete"})
            else:
                end_all()
                await send({"type": "lifespan.shutdown.complete"})
                return
