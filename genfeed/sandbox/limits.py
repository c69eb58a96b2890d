"""Rate limits: so many calls within a sliding window."""

import math
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class RateLimit:
    """At most `requests` calls within any `per_seconds`."""

    requests: int
    per_seconds: float


@dataclass(slots=True)
class Window:
    """The calls of one caller that still count."""

    clock: Callable[[], float] = time.monotonic
    calls: deque[float] = field(default_factory=deque)

    def admit(self, limit: RateLimit) -> int | None:
        """Count a call: None when it is within the limit, else the whole seconds to wait. Refusals are free."""
        now = self.clock()
        while self.calls and self.calls[0] <= now - limit.per_seconds:
            self.calls.popleft()
        if len(self.calls) < limit.requests:
            self.calls.append(now)
            return None
        oldest = self.calls[0] if self.calls else now
        return max(1, math.ceil(oldest + limit.per_seconds - now))
