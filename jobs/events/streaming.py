"""One stream of events: what was before, then what comes, until there is nothing more to tell."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from genfeed.front.connections import Connection
from genfeed.journal.positions import Position
from jobs.events import reading
from jobs.events.hub import Watcher, hub
from jobs.events.metrics import observe_dropped, observe_sent
from jobs.events.reading import Item
from jobs.events.rendering import HEARTBEAT, RETRY, goodbye, position_only
from jobs.events.slots import Slot

HEARTBEAT_SECONDS = 15.0
PAGE = 100


class EventStream:
    """A stream that a view hands to the front. `read` reads the next page after a place, `wants` chooses events."""

    def __init__(
        self,
        slot: Slot,
        *,
        client_id: int,
        job_id: str = "",
        start: Any,
        read: Callable[[Any], list[Item]],
        wants: Callable[[Item], bool] = lambda item: True,
    ) -> None:
        self._slot = slot
        self._whose = client_id, job_id
        self._read = read
        self._wants = wants
        self._at = start

    def so_far(self) -> bytes:
        """A stream of what there is already, for servers that can hold none open: its client comes back for more."""
        before = RETRY + self._place()
        page = self._read(self._at)
        if page:
            self._at = page[-1].at
        return before + b"".join(item.body for item in page if self._wants(item)) + self._place()

    async def run(self, connection: Connection) -> None:
        """Tells events until the last one of a job, or until the client or this process ends it."""
        watcher = Watcher(*self._whose)
        connection.on_end(watcher.end)
        try:
            await connection.write(RETRY + self._place())
            await hub.add(watcher)
            if not await self._tell_past(connection, watcher):
                await self._follow(connection, watcher)
            if watcher.end_reason not in ("", "gone"):
                await connection.write(goodbye(watcher.end_reason))
        finally:
            hub.remove(watcher)

    def close(self) -> None:
        """Gives back what it holds; called once, whether it ran or not."""
        self._slot.give_back()

    async def _tell_past(self, connection: Connection, watcher: Watcher) -> bool:
        while not watcher.end_reason:
            page = await hub.read(self._read, self._at)
            if await self._tell(connection, page):
                return True
            if len(page) < PAGE:
                break
        return False

    async def _follow(self, connection: Connection, watcher: Watcher) -> None:
        while True:
            items = await watcher.take(HEARTBEAT_SECONDS)
            if await self._tell(connection, items):
                return
            if watcher.end_reason:
                if watcher.end_reason == "too slow":
                    observe_dropped()
                return
            if not items:
                await connection.write(HEARTBEAT + self._place())

    async def _tell(self, connection: Connection, items: list[Item]) -> bool:
        """Sends what was not sent yet; whether that was the last event of a job that is followed alone."""
        new = [item for item in items if item.at > self._at]
        if not new:
            return False
        bodies = [item.body for item in new if self._wants(item)]
        self._at = new[-1].at
        if bodies:
            await connection.write(b"".join(bodies))
            observe_sent(len(bodies))
        return bool(self._whose[1]) and new[-1].is_last

    def _place(self) -> bytes:
        """Streams of clients tell where they are also while nothing happens: a cursor must not grow old."""
        return position_only(str(self._at)) if isinstance(self._at, Position) else b""


def read_job(job_id: str) -> Callable[[int], list[Item]]:
    """How pages of a job's events are read."""
    return lambda after: [reading.job_item(job_id, event) for event in reading.of_job(job_id, after, limit=PAGE)]


def read_client(client_id: int) -> Callable[[Position], list[Item]]:
    """How pages of a client's events are read."""
    return lambda after: [
        reading.client_item(row, event) for row, event in reading.of_client(client_id, after, limit=PAGE)
    ]
