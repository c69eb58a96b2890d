"""A load generator where there is no wrk, or so many requests are wanted: keep-alive connections of one event loop."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Asked:
    """The seconds that each answer took, and how many were of another status than expected."""

    latencies: list[float]
    failures: int


class _Connection(asyncio.Protocol):
    """Sends the next request when the last byte of the answer has come; reads no more of HTTP than it must."""

    def __init__(
        self,
        request: bytes,
        next_at: Callable[[], float | None],
        latencies: list[float],
        done: asyncio.Future[int],
        expected: int,
    ) -> None:
        self.request = request
        self.status = f"HTTP/1.1 {expected}".encode()
        self.next_at = next_at
        self.latencies = latencies
        self.done = done
        self.failures = 0
        self.buffer = b""
        self.expected = -1  # bytes
        self.sent_at = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self._go_on()

    def _go_on(self) -> None:
        at = self.next_at()
        if at is None:
            self.transport.close()
        elif (wait := at - time.perf_counter()) <= 0:
            self._send()
        else:
            asyncio.get_running_loop().call_later(wait, self._send)

    def _send(self) -> None:
        self.buffer, self.expected = b"", -1
        self.sent_at = time.perf_counter()
        self.transport.write(self.request)  # type: ignore[attr-defined]

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        if self.expected < 0:
            head, separator, _ = self.buffer.partition(b"\r\n\r\n")
            if not separator:
                return
            lower = head.lower()
            position = lower.find(b"content-length:")
            end = lower.find(b"\r\n", position)
            # A 304 has no body, and tells no length.
            length = 0 if position < 0 else int(lower[position + 15 : end if end >= 0 else None])
            self.expected = len(head) + 4 + length
            self.failures += not head.startswith(self.status)
        if len(self.buffer) < self.expected:
            return
        self.latencies.append(time.perf_counter() - self.sent_at)
        self._go_on()

    def connection_lost(self, error: Exception | None) -> None:
        if not self.done.done():
            self.done.set_result(self.failures + (error is not None))


def run(
    url: str, headers: dict[str, str], connections: int, seconds: float, body: bytes | None, expected: int
) -> Asked:
    """Asks for an address for some seconds, by POST where there is a body."""
    until = time.perf_counter() + seconds
    return _ask(url, headers, connections, body, expected, lambda: 0.0 if time.perf_counter() < until else None)


def run_count(
    url: str, headers: dict[str, str], connections: int, count: int, body: bytes, expected: int, *, every: float = 0.0
) -> Asked:
    """Sends a body `count` times; one each `every` seconds, as far as answers come as soon."""
    started = time.perf_counter()
    moments = iter([started + number * every for number in range(count)])
    return _ask(url, headers, connections, body, expected, lambda: next(moments, None))


def _ask(
    url: str,
    headers: dict[str, str],
    connections: int,
    body: bytes | None,
    expected: int,
    next_at: Callable[[], float | None],
) -> Asked:
    parts = urlsplit(url)
    path = parts.path + (f"?{parts.query}" if parts.query else "")
    length = {} if body is None else {"Content-Length": str(len(body))}
    lines = [f"{'GET' if body is None else 'POST'} {path} HTTP/1.1", f"Host: {parts.netloc}"]
    lines += [f"{name}: {value}" for name, value in (headers | length).items()]
    request = ("\r\n".join(lines) + "\r\n\r\n").encode() + (body or b"")
    assert parts.hostname is not None
    return asyncio.run(_run(parts.hostname, parts.port or 80, request, connections, expected, next_at))


async def _run(
    host: str, port: int, request: bytes, connections: int, expected: int, next_at: Callable[[], float | None]
) -> Asked:
    loop = asyncio.get_running_loop()
    latencies: list[float] = []
    waiting: list[asyncio.Future[int]] = []
    for _ in range(connections):
        done: asyncio.Future[int] = loop.create_future()
        waiting.append(done)
        await loop.create_connection(
            lambda done=done: _Connection(request, next_at, latencies, done, expected),  # type: ignore[misc]
            host,
            port,
        )
    return Asked(latencies, sum(await asyncio.gather(*waiting)))
