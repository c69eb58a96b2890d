"""A small server that takes webhooks and answers them as it is told."""

import threading
import time
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

import orjson

PATIENCE_SECONDS = 10


@dataclass
class Delivery:
    """One webhook as it came in; header names in small letters."""

    path: str
    headers: dict[str, str]
    raw: bytes
    at: float

    @property
    def body(self) -> dict[str, Any]:
        return orjson.loads(self.raw)


class Receiver:
    """`statuses` are answered one after the other, then 200."""

    def __init__(self) -> None:
        self.deliveries: list[Delivery] = []
        self.statuses: list[int] = []
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/hook"

    def __enter__(self) -> Self:
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _tb: TracebackType | None
    ) -> None:
        self.server.shutdown()
        self.server.server_close()

    def status(self) -> int:
        """What the delivery that has just come is answered."""
        return self.statuses.pop(0) if self.statuses else 200

    def wait(self, count: int) -> list[Delivery]:
        """The deliveries once there are so many."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while len(self.deliveries) < count:
            assert time.monotonic() < deadline, f"{len(self.deliveries)} of {count} webhooks came"
            time.sleep(0.01)
        return list(self.deliveries)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                raw = self.rfile.read(int(self.headers.get("content-length", 0)))
                headers = {name.lower(): value for name, value in self.headers.items()}
                receiver.deliveries.append(Delivery(self.path, headers, raw, time.time()))
                self.send_response(receiver.status())
                self.send_header("content-length", "0")
                self.end_headers()
                # Now and then a server closes a kept connection without a word.
                self.close_connection = len(receiver.deliveries) % 2 == 0

            def log_message(self, *_args: Any) -> None:
                pass

        return Handler
