"""A receiver of webhooks that fails a third of the time, in a thread of its own: errors, silence, resets."""

import asyncio
import random
import re
import socket
import struct
import threading
import time
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import orjson

# Each of these is the answer to a ninth of all attempts.
FAILURES = ("error", "silence", "reset")
TAKEN = "taken"
_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
_ID = re.compile(rb"webhook-id: *(\S+)", re.IGNORECASE)


@dataclass(frozen=True)
class Attempt:
    """A webhook as it came in: at which path, its id and number, when (monotonic seconds), and what it was answered."""

    path: str
    id: str
    number: int
    at: float
    answer: str


class FlakyReceiver:
    """`attempts` are all that came, in the order in which they came. `fails` False: it takes everything."""

    def __init__(self, *, seed: int, fails: bool = True) -> None:
        self.attempts: list[Attempt] = []
        self._fails = fails
        self._chance = random.Random(seed)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._server = asyncio.run_coroutine_threadsafe(self._serve(), self._loop).result(5)
        self.pair = f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _tb: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._server.close)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)

    async def _serve(self) -> asyncio.Server:
        return await self._loop.create_server(lambda: _Connection(self), "127.0.0.1", 0, backlog=512)

    def judge(self, path: str, message: str, body: bytes) -> str:
        """What is answered to a webhook that has come whole."""
        draw = self._chance.randrange(9)
        answer = FAILURES[draw] if self._fails and draw < len(FAILURES) else TAKEN
        number = orjson.loads(body)["data"]["number"]
        self.attempts.append(Attempt(path, message, number, time.monotonic(), answer))
        return answer


class _Connection(asyncio.Protocol):
    def __init__(self, receiver: FlakyReceiver) -> None:
        self._receiver = receiver
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, separator, body = self._buffer.partition(b"\r\n\r\n")
        length, message = _LENGTH.search(head), _ID.search(head)
        if not separator or not length or not message or len(body) < int(length[1]):
            return
        self._buffer = b""
        answer = self._receiver.judge(head.split(b" ", 2)[1].decode(), message[1].decode(), body)
        if answer == TAKEN:
            self._transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")  # type: ignore[attr-defined]
        elif answer == "error":
            self._transport.write(b"HTTP/1.1 500 No\r\nContent-Length: 2\r\n\r\nno")  # type: ignore[attr-defined]
        elif answer == "reset":
            own: socket.socket = self._transport.get_extra_info("socket")
            own.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self._transport.abort()  # type: ignore[attr-defined]
