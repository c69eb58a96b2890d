"""A network between two installations that can be cut, slowed, and that lies."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx

EXPORT = "/api/v1/catalog/export"


@dataclass
class Network:
    """Passes requests on to `target`; `asked` are those so far: path with query, status, bytes of the body sent.

    `down`: no answer at all. `cut_after`: the connection ends after so many bytes of an export's body, `cuts` times.
    `slow`: seconds of waiting after each 5 KB. `instead`: another body for exports. `shortened`: as `cut_after`, but
    pretending that this was all.
    """

    target: str
    url: str = ""
    asked: list[tuple[str, int, int]] = field(default_factory=list)
    down: bool = False
    cut_after: int | None = None
    cuts: int = 0
    slow: float = 0.0
    instead: bytes | None = None
    shortened: int | None = None

    def clear(self) -> None:
        """An honest network again; forgets what was asked."""
        self.asked.clear()
        self.down, self.cut_after, self.cuts, self.slow = False, None, 0, 0.0
        self.instead = self.shortened = None


@contextmanager
def running_network(target: str) -> Iterator[Network]:
    """Runs a network in front of an address while the block runs."""
    network = Network(target)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            _pass_on(network, self)

        def log_message(self, *_: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    network.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield network
    finally:
        server.shutdown()
        server.server_close()


def _pass_on(network: Network, request: BaseHTTPRequestHandler) -> None:
    if network.down:
        network.asked.append((request.path, 0, 0))
        request.close_connection = True
        return
    names = ("Authorization", "If-None-Match", "Range", "If-Range", "Accept-Encoding")
    headers = {name: request.headers[name] for name in names if name in request.headers}
    answer = httpx.get(f"{network.target}{request.path}", headers=headers, timeout=60, trust_env=False)
    is_export = request.path.startswith(EXPORT) and answer.is_success
    body = network.instead if is_export and network.instead is not None else answer.content
    if is_export and network.shortened is not None:
        body = body[: network.shortened]
    request.send_response(answer.status_code)
    for name in ("ETag", "Content-Type", "Content-Range"):
        if name in answer.headers:
            request.send_header(name, answer.headers[name])
    if answer.status_code != 304:
        request.send_header("Content-Length", str(len(body)))
    request.end_headers()
    sent = _send(network, request, body, is_export=is_export) if answer.status_code != 304 else 0
    network.asked.append((request.path, answer.status_code, sent))


def _send(network: Network, request: BaseHTTPRequestHandler, body: bytes, *, is_export: bool) -> int:
    if is_export and network.cut_after is not None and network.cuts > 0:
        network.cuts -= 1
        body = body[: network.cut_after]
        request.close_connection = True
    step = 5_000
    for start in range(0, len(body), step):
        request.wfile.write(body[start : start + step])
        if is_export and network.slow:
            request.wfile.flush()
            time.sleep(network.slow)
    return len(body)
