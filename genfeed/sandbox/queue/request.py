"""One request of the queue, and how it ended."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

import orjson

from genfeed.sandbox.effects import Effects

IN_QUEUE, IN_PROGRESS, COMPLETED = "IN_QUEUE", "IN_PROGRESS", "COMPLETED"


@dataclass(frozen=True, slots=True)
class Options:
    """What the headers and the query of a submission ask for. Times are seconds."""

    webhook: str | None = None
    is_low_priority: bool = False
    start_timeout: float | None = None
    lifetime: float | None = None
    stores_payloads: bool = True
    retries: bool = True


@dataclass(frozen=True, slots=True)
class Outcome:
    """The answer to a fetch of the result. `error_type` is a platform error; then the state tells of it too."""

    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)
    error_type: str | None = None
    error: str | None = None

    @property
    def is_good(self) -> bool:
        """Whether the model has made what was asked."""
        return self.status == 200

    @property
    def payload(self) -> Any:
        """The body as an object."""
        return orjson.loads(self.body)


@dataclass(slots=True, eq=False)
class QueuedRequest:
    """Times are Unix seconds. `body_size` counts for the memory the store may take."""

    request_id: str
    gateway_id: str
    endpoint_id: str
    app: str
    given: Any
    body_size: int
    options: Options
    effects: Effects
    sent_at: float
    account: str = ""
    status: str = IN_QUEUE
    started_at: float | None = None
    ended_at: float | None = None
    attempts: int = 0
    machine_seconds: float = 0.0
    outcome: Outcome | None = None
    is_cancelled: bool = False
    is_direct: bool = False
    payloads_gone: bool = False
    file_paths: list[str] = field(default_factory=list)
    timer: asyncio.TimerHandle | None = None
    start_timer: asyncio.TimerHandle | None = None
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def seconds(self) -> float | None:
        """How long it ran."""
        return None if self.started_at is None or self.ended_at is None else self.ended_at - self.started_at

    def stop_timers(self) -> None:
        """Nothing happens to it by itself any more."""
        for timer in (self.timer, self.start_timer):
            if timer is not None:
                timer.cancel()
        self.timer = self.start_timer = None
