"""What was asked of the sandbox since the last reset, so that a test can say what a client really sent."""

import re
from collections import Counter, deque
from dataclasses import asdict, dataclass, field
from typing import Any

KEPT = 20_000
# Paths with an id of their own are counted together, or the counts would grow for ever.
OWN_IDS = (re.compile(r"(^/queue/.*/requests/)[^/]+"), re.compile(r"(^/cdn/files/b/).*"))


@dataclass(slots=True)
class Entry:
    """One request. `key_id`: the public part of its key, before the colon.

    `status` is None while it runs and for a connection that was closed without an answer.
    """

    method: str
    path: str
    query: str
    had_key: bool
    key_id: str = ""
    status: int | None = None
    fault: str | None = None


@dataclass(slots=True)
class RequestLog:
    """The last requests, and how many there were by method and path."""

    entries: deque[Entry] = field(default_factory=lambda: deque(maxlen=KEPT))
    counts: Counter[str] = field(default_factory=Counter)

    def add(self, entry: Entry) -> Entry:
        """Note a request as it comes in."""
        self.entries.append(entry)
        path = entry.path
        for pattern in OWN_IDS:
            path = pattern.sub(r"\1{id}", path)
        self.counts[f"{entry.method} {path}"] += 1
        return entry

    def to_json(self) -> dict[str, Any]:
        """The log for the control API."""
        return {
            "total": self.counts.total(),
            "counts": dict(self.counts),
            "requests": [asdict(entry) for entry in self.entries],
        }
