"""The ASGI application around a WSGI one: one port for short requests and for streams.

Every request runs through the whole WSGI application: who calls, limits, headers, logs are decided in one place. Where
a view hands over a stream, its answer has status and headers, and the event loop holds it open; no thread waits. Nor
does one for whoever reads a file.
"""

from __future__ import annotations

import asyncio
import io
import json
import logging
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import IO, Any

from genfeed.front import open_files, stopping
from genfeed.front.answering import Answer, Send, SentFile
from genfeed.front.bodies import BodyReader, ClientGoneError, Disk, Receive, RefusedBodyError, read_ahead
from genfeed.front.connections import HANDED_OVER, end_all, hold
from genfeed.front.environ import environ_of

logger = logging.getLogger(__name__)

Wsgi = Callable[..., Iterable[bytes]]
# An answer that is known before the application is asked: status, headers, body.
Known = tuple[int, list[tuple[bytes, bytes]], bytes]
# In the environment: what is to be known of this request's answer next time. None: nothing.
ADDRESS = "genfeed.address"


class Front:
    """An ASGI application that has a WSGI application answer in `threads` threads.

    Bodies of at most `largest_ahead` bytes are read before a thread is taken. Larger ones, and those of resumable
    uploads, are read in as many threads of their own: however slowly they come, they hold back each other alone.
    `folder`: where bodies lie meanwhile that are too large for memory; None: where the system has such files.
    `ahead` is asked first, in the event loop: for an answer that is known already, and for what the application finds
    at ADDRESS where none is.
    """

    def __init__(
        self,
        application: Wsgi,
        *,
        threads: int,
        largest_ahead: int = 10_485_760,
        folder: str | None = None,
        ahead: Callable[[Mapping[str, Any]], tuple[Known | None, Any]] = lambda _scope: (None, None),
    ) -> None:
        self._application = application
        self._ahead = ahead
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="web")
        self._upload_threads = ThreadPoolExecutor(threads, thread_name_prefix="upload")
        self._largest_ahead = largest_ahead
        self._disk = Disk(folder)

    async def __call__(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            with suppress(ClientGoneError):
                await self._serve(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._live(receive, send)

    async def _serve(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        known, address = self._ahead(scope)
        # The application tells clients when to go elsewhere.
        if known is not None and not stopping.is_about_to_stop():
            status, headers, content = known
            await send({"type": "http.response.start", "status": status, "headers": headers})
            await send({"type": "http.response.body", "body": content, "more_body": False})
            return
        try:
            body = await read_ahead(scope, receive, largest=self._largest_ahead, disk=self._disk)
        except RefusedBodyError as error:
            await _refuse(send, error)
            return
        try:
            await self._answer(scope, body, receive, send, address)
        finally:
            if body is not None:
                body.close()

    async def _answer(
        self, scope: Mapping[str, Any], body: IO[bytes] | None, receive: Receive, send: Send, address: Any
    ) -> None:
        loop = asyncio.get_running_loop()
        environ = environ_of(scope, io.BufferedReader(BodyReader(receive, loop), 65_536) if body is None else body)
        if body is not None and (size := body.seek(0, io.SEEK_END)):
            # Without it Django takes a body, one that came in chunks, for an empty one.
            environ["CONTENT_LENGTH"] = str(size)
            body.seek(0)
        environ[HANDED_OVER], environ["wsgi.file_wrapper"], environ[ADDRESS] = None, SentFile, address
        # While a thread reads the body, nobody else may receive.
        answer = Answer(send, loop, None if body is None else receive)
        threads = self._upload_threads if body is None else self._threads
        try:
            await loop.run_in_executor(threads, answer.make, self._application, environ)
            stream = environ[HANDED_OVER]
            if stream is None or answer.status != 200:
                await answer.finish()
            else:
                await hold(stream, answer, receive)
        finally:
            answer.close()
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


async def _refuse(send: Send, error: RefusedBodyError) -> None:
    logger.info("a body was refused: %s", error)
    told = {"code": error.code, "message": str(error), "hint": error.hint, "requestId": None}
    headers = [(b"content-type", b"application/json"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": error.status, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps(told).encode(), "more_body": False})
