"""What a browser's EventSource does, in a thread: reads, and comes back with the last id that it was told."""

import threading
import time
from typing import Any

import httpx
import orjson


class EventSource:
    """Follows one address until it is closed or told to stay away. `events` are (id, type, data) as they came."""

    def __init__(self, url: str, *, headers: dict[str, str] | None = None, until: str = "") -> None:
        self.events: list[tuple[str, str, dict[str, Any]]] = []
        self.arrived: list[float] = []
        self.statuses: list[int] = []
        self.comments: list[str] = []
        self.opened = threading.Event()
        self._last_id = ""
        self._url = url
        self._headers = headers or {}
        self._until = until
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Comes back no more."""
        self._closed.set()

    def wait(self, seconds: float) -> None:
        """Until it was told to stay away, or has read the type that it waits for; fails where that takes longer."""
        self._thread.join(seconds)
        assert not self._thread.is_alive(), (self.statuses, self.events[-3:])

    def _work(self) -> None:
        while not self._closed.is_set():
            headers = self._headers | {"Accept": "text/event-stream"}
            if self._last_id:
                headers["Last-Event-ID"] = self._last_id
            try:
                with httpx.stream("GET", self._url, headers=headers, trust_env=False, timeout=30) as answer:
                    self.statuses.append(answer.status_code)
                    if answer.status_code != 200:
                        return
                    self.opened.set()
                    if self._read(answer):
                        return
            except httpx.TransportError:
                self.statuses.append(0)
            time.sleep(0.1)

    def _read(self, answer: httpx.Response) -> bool:
        fields: dict[str, str] = {}
        for line in answer.iter_lines():
            if self._closed.is_set():
                return True
            if line.startswith(":"):
                self.comments.append(line)
            elif line:
                name, _, value = line.partition(": ")
                fields[name] = value
            else:
                self._last_id = fields.get("id", self._last_id)
                if "data" in fields:
                    self.arrived.append(time.time())
                    self.events.append((self._last_id, fields["event"], orjson.loads(fields["data"])))
                    if self._until and fields["event"] == self._until:
                        return True
                fields = {}
        return False
