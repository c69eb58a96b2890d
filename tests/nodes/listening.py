"""Those who are told: a receiver of webhooks, and a follower of the stream of all events."""

import itertools
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

import httpx
import orjson


class Receiver:
    """Takes every webhook.

    `taken`: how often each message came, by (kind, job) and its id; `ages`: seconds since each says that it was sent.
    """

    def __init__(self) -> None:
        self.taken: dict[tuple[str, str], Counter[str]] = {}
        self.ages: list[float] = []
        self._lock = threading.Lock()
        own = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = orjson.loads(self.rfile.read(int(self.headers["Content-Length"])))
                own.note(body, self.headers["webhook-id"], float(self.headers["webhook-timestamp"]))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                """Nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.pair = f"127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def note(self, body: dict[str, Any], message: str, at: float) -> None:
        with self._lock:
            self.taken.setdefault((body["type"], body["data"]["id"]), Counter())[message] += 1
            self.ages.append(time.time() - at)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _tb: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)


class Follower:
    """Follows all events of a client at one web process after the other, going on with the last id that it was told.

    `seen`: how often each event of a job came, by (job, number).
    """

    def __init__(self, base_urls: list[str], key: str) -> None:
        self.seen: Counter[tuple[str, int]] = Counter()
        self.connections = 0
        self.opened = threading.Event()
        self._urls = [f"{one}/api/v1/events" for one in base_urls]
        self._headers = {"Authorization": f"Bearer {key}", "Accept": "text/event-stream"}
        self._last = ""
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._closed.set()
        # It may wait for the next comment of a quiet stream, and ends with the process.
        self._thread.join(1)

    def _work(self) -> None:
        # A stream is never silent for longer than its comments, every 15 s.
        with httpx.Client(headers=self._headers, timeout=httpx.Timeout(3, read=20), trust_env=False) as http:
            for turn in itertools.count():
                if self._closed.is_set():
                    return
                more = {"Last-Event-ID": self._last} if self._last else {}
                try:
                    with http.stream("GET", self._urls[turn % len(self._urls)], headers=more) as answer:
                        if answer.status_code == 200:
                            self.connections += 1
                            self.opened.set()
                            self._read(answer)
                except httpx.TransportError:
                    pass
                self._closed.wait(0.2)

    def _read(self, answer: httpx.Response) -> None:
        fields: dict[str, str] = {}
        for line in answer.iter_lines():
            if self._closed.is_set():
                return
            if line and not line.startswith(":"):
                name, _, value = line.partition(": ")
                fields[name] = value
            elif not line:
                self._last = fields.get("id", self._last)
                if "data" in fields and fields.get("event", "").startswith("job_"):
                    data = orjson.loads(fields["data"])
                    self.seen[data["job"], data["number"]] += 1
                fields = {}
