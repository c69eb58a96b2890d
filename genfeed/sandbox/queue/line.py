"""Who waits, who runs, who is done. Finished requests are forgotten after an hour, or when there are too many."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from genfeed.sandbox.queue.request import COMPLETED, QueuedRequest

KEPT = 10_000
KEPT_SECONDS = 3600.0
KEPT_BYTES = 128 * 1024 * 1024


@dataclass(slots=True)
class Line:
    """All requests. `first` wait before `later`, which are those of low priority."""

    requests: dict[str, QueuedRequest] = field(default_factory=dict)
    first: deque[QueuedRequest] = field(default_factory=deque)
    later: deque[QueuedRequest] = field(default_factory=deque)
    running: set[QueuedRequest] = field(default_factory=set)
    finished: deque[QueuedRequest] = field(default_factory=deque)
    finished_bytes: int = 0
    accepted: int = 0
    forgotten: int = 0

    def add(self, request: QueuedRequest) -> None:
        """Take a new request in."""
        self.accepted += 1
        self.requests[request.request_id] = request
        self.enqueue(request)

    def enqueue(self, request: QueuedRequest) -> None:
        """Put a request at the end of those of its priority."""
        (self.later if request.options.is_low_priority else self.first).append(request)

    def waiting(self) -> Iterator[QueuedRequest]:
        """Those who wait, the next one first."""
        yield from self.first
        yield from self.later

    def length(self, endpoint_id: str | None = None) -> int:
        """How many wait, for one endpoint or for all."""
        if endpoint_id is None:
            return len(self.first) + len(self.later)
        return sum(request.endpoint_id == endpoint_id for request in self.waiting())

    def position(self, request: QueuedRequest) -> int:
        """How many are ahead of a request that waits."""
        if request.options.is_low_priority:
            return len(self.first) + self.later.index(request)
        return self.first.index(request)

    def take_next(self) -> QueuedRequest | None:
        """The next request that may start, out of the line. Those that are stuck in it, or wait, are passed over."""
        for queue in (self.first, self.later):
            for at, request in enumerate(queue):
                if request.effects.get("stuck") != "IN_QUEUE" and not request.effects.get("waits"):
                    del queue[at]
                    return request
        return None

    def remove(self, request: QueuedRequest) -> None:
        """Take a waiting request out."""
        (self.later if request.options.is_low_priority else self.first).remove(request)

    def finish(self, request: QueuedRequest, now: float) -> None:
        """Keep a finished request for a while, and forget the oldest."""
        request.status = COMPLETED
        request.ended_at = now
        self.running.discard(request)
        self.finished.append(request)
        self.finished_bytes += _size(request)
        while self.finished and self._is_too_much(self.finished[0], now):
            oldest = self.finished.popleft()
            self.finished_bytes -= _size(oldest)
            self.requests.pop(oldest.request_id, None)
            self.forgotten += 1

    def close(self) -> None:
        """Stop everything that would still happen."""
        for request in self.requests.values():
            request.stop_timers()
            request.ended.set()

    def _is_too_much(self, oldest: QueuedRequest, now: float) -> bool:
        old = oldest.ended_at is not None and oldest.ended_at < now - KEPT_SECONDS
        return old or len(self.finished) > KEPT or self.finished_bytes > KEPT_BYTES


def _size(request: QueuedRequest) -> int:
    return request.body_size + (len(request.outcome.body) if request.outcome else 0)
