"""A small load generator: keep-alive connections that ask for one address as fast as they are answered."""

import asyncio
import time
from dataclasses import dataclass
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Load:
    """What a run measured: requests a second, latencies in milliseconds, answers of another status."""

    per_second: float
    p50: float
    p99: float
    failures: int
    bytes_each: int


class _Connection(asyncio.Protocol):
    """Sends the next request when the last byte of the answer has come; reads no more of HTTP than it must."""

    def __init__(
        self, request: bytes, until: float, latencies: list[float], done: asyncio.Future[int], expected: int
    ) -> None:
        self.request = request
        self.status = f"HTTP/1.1 {expected}".encode()
        self.until = until
        self.latencies = latencies
        self.done = done
        self.failures = 0
        self.buffer = b""
        self.expected = -1  # bytes
        self.sent_at = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self._send()

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
            length = int(lower[position + 15 : lower.find(b"\r\n", position) if b"\r\n" in lower[position:] else None])
            self.expected = len(head) + 4 + length
            self.failures += not head.startswith(self.status)
        if len(self.buffer) < self.expected:
            return
        now = time.perf_counter()
        self.latencies.append(now - self.sent_at)
        if now < self.until:
            self._send()
        else:
            self.transport.close()

    def connection_lost(self, error: Exception | None) -> None:
        if not self.done.done():
            self.done.set_result(self.failures + (error is not None))


def run(
    url: str,
    *,
    headers: dict[str, str],
    connections: int = 16,
    seconds: float = 5.0,
    body: bytes | None = None,
    expected: int = 200,
) -> Load:
    """Loads one loopback address for some seconds, by POST where there is a JSON body; raises ValueError for others.

    Answers with another status than `expected` count as failures.
    """
    parts = urlsplit(url)
    if parts.hostname not in ("127.0.0.1", "localhost", "::1"):
        raise ValueError("The load generator talks to this machine only.")
    path = parts.path + (f"?{parts.query}" if parts.query else "")
    method = "GET" if body is None else "POST"
    sent = {} if body is None else {"Content-Type": "application/json", "Content-Length": str(len(body))}
    lines = [f"{method} {path} HTTP/1.1", f"Host: {parts.netloc}"]
    lines += [f"{name}: {value}" for name, value in (headers | sent).items()]
    request = ("\r\n".join(lines) + "\r\n\r\n").encode() + (body or b"")
    return asyncio.run(_run(parts.hostname, parts.port or 80, request, connections, seconds, expected))


async def _run(host: str, port: int, request: bytes, connections: int, seconds: float, expected: int) -> Load:
    loop = asyncio.get_running_loop()
    latencies: list[float] = []
    started = time.perf_counter()
    waiting: list[asyncio.Future[int]] = []
    open_connections: list[_Connection] = []
    for _ in range(connections):
        done: asyncio.Future[int] = loop.create_future()
        waiting.append(done)
        _, protocol = await loop.create_connection(
            lambda done=done: _Connection(request, started + seconds, latencies, done, expected),  # type: ignore[misc]
            host,
            port,
        )
        open_connections.append(protocol)
    failures = sum(await asyncio.gather(*waiting))
    took = time.perf_counter() - started
    latencies.sort()
    return Load(
        per_second=len(latencies) / took,
        p50=1000 * latencies[len(latencies) // 2],
        p99=1000 * latencies[int(len(latencies) * 0.99)],
        failures=failures,
        bytes_each=open_connections[0].expected,
    )
