"""One look for new events a tick and process, handed out to everybody who follows some of them.

A watcher is registered between two looks, and reads what was before only then: what the looks before have seen is in
its history, what comes after is handed to it, and what is in both it knows by its number.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict, deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

from django.db import InterfaceError, OperationalError, connections

from genfeed.journal import following
from jobs.events.reading import Item, news_items

logger = logging.getLogger(__name__)

TICK_SECONDS = 0.1
# A watcher that has not taken so many events by the next look is let go, and comes back for them.
LONGEST_QUEUE = 256
_PAUSE_SECONDS = 1.0


class Watcher:
    """Somebody who follows a job, or all events of a client (`job_id` "")."""

    __slots__ = ("_queue", "_wake", "client_id", "end_reason", "job_id")

    def __init__(self, client_id: int, job_id: str = "") -> None:
        self.client_id = client_id
        self.job_id = job_id
        self.end_reason = ""
        self._queue: deque[Item] = deque()
        self._wake = asyncio.Event()

    def offer(self, items: list[Item]) -> None:
        """Puts what one look has found into its queue; one that is full of what was before ends the watcher."""
        if len(self._queue) >= LONGEST_QUEUE:
            self._queue.clear()
            self.end("too slow")
        elif not self.end_reason:
            self._queue.extend(items)
            self._wake.set()

    def end(self, reason: str) -> None:
        """Has it stop; the first reason counts."""
        self.end_reason = self.end_reason or reason
        self._wake.set()

    async def take(self, seconds: float) -> list[Item]:
        """What has come; waits for it, at most so long. Nothing where it has to stop."""
        if not self._queue and not self.end_reason:
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._wake.wait()
        self._wake.clear()
        items = list(self._queue)
        self._queue.clear()
        return items


class Hub:
    """The watchers of this process. All of it runs in the event loop but the reading."""

    def __init__(self) -> None:
        self._jobs: dict[str, set[Watcher]] = defaultdict(set)
        self._clients: dict[int, set[Watcher]] = defaultdict(set)
        self._tail: following.Tail | None = None
        self._task: asyncio.Task[None] | None = None
        self._between = asyncio.Lock()
        # Looks have a thread of their own: those who read what was before must not hold them up.
        self._looking = ThreadPoolExecutor(1, thread_name_prefix="events-tail")
        self._reading = ThreadPoolExecutor(2, thread_name_prefix="events")

    async def add(self, watcher: Watcher) -> None:
        """Registers a watcher: it is offered every event that is seen from now on."""
        async with self._between:
            if self._tail is None:
                self._tail = following.Tail(await self._in(self._looking, following.now))
            self._of(watcher).add(watcher)
            if self._task is None or self._task.done():
                self._task = asyncio.ensure_future(self._run())

    def remove(self, watcher: Watcher) -> None:
        """Offers it nothing any more."""
        of = self._of(watcher)
        of.discard(watcher)
        if not of:
            self._jobs.pop(watcher.job_id, None) if watcher.job_id else self._clients.pop(watcher.client_id, None)

    async def read(self, call: Callable[..., Any], *arguments: Any) -> Any:
        """Runs a reading function in a thread."""
        return await self._in(self._reading, call, *arguments)

    def _of(self, watcher: Watcher) -> set[Watcher]:
        return self._jobs[watcher.job_id] if watcher.job_id else self._clients[watcher.client_id]

    async def _run(self) -> None:
        while True:
            pause = TICK_SECONDS
            async with self._between:
                if not self._jobs and not self._clients:
                    self._tail = self._task = None
                    return
                try:
                    await self._look()
                except Exception:
                    # What was not seen is seen later: the tail stays where it is.
                    logger.exception("new events could not be read")
                    pause = _PAUSE_SECONDS
            await asyncio.sleep(pause)

    async def _look(self) -> None:
        jobs, clients = frozenset(self._jobs), frozenset(self._clients)
        of_jobs, of_clients = await self._in(self._looking, _news, self._tail, jobs, clients)
        found: dict[Watcher, list[Item]] = defaultdict(list)
        for item in of_jobs:
            for watcher in self._jobs.get(item.job, ()):
                found[watcher].append(item)
        for client_id, item in of_clients:
            for watcher in self._clients.get(client_id, ()):
                found[watcher].append(item)
        # All of a look at once: however much happens in one moment, who takes it is not slow.
        for watcher, items in found.items():
            watcher.offer(items)

    async def _in(self, threads: ThreadPoolExecutor, call: Callable[..., Any], *arguments: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(threads, _patiently, call, arguments)


def _news(tail: following.Tail, jobs: frozenset[str], clients: frozenset[int]) -> Any:
    # A copy: where the second query fails, the first has not been.
    ahead = following.Tail(tail.position, tail.seen)
    items = news_items(following.look(ahead), jobs, clients)
    tail.position, tail.seen = ahead.position, ahead.seen
    return items


def _patiently(call: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    """Calls once more on a new connection: these threads keep theirs, and the server may have closed it meanwhile."""
    try:
        return call(*arguments)
    except (OperationalError, InterfaceError):
        connections.close_all()
        return call(*arguments)


hub = Hub()
