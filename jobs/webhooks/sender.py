"""The loop that tells clients: makes deliveries of new events, and attempts what is due in threads of its own.

It runs beside the dispatcher's loop, in the same process: slow receivers never hold back jobs. Threads only do HTTP;
all rows are read and written by the thread that loops. Any number of senders may run: claims are leases.
"""

from __future__ import annotations

import logging
import queue as queues
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from threading import Event

from django.conf import settings
from django.db import InterfaceError, OperationalError, close_old_connections, connection, connections

from genfeed.journal import request_ids
from jobs.webhooks.fan_out import MOST_EVENTS, fan_out
from jobs.webhooks.sending import Attempt, Outcome, apply, claim, free_lanes, send

logger = logging.getLogger(__name__)

IDLE_SECONDS = 0.1
# How long one that is told to stop waits for a database that is away.
_PATIENCE_SECONDS = 20.0


class Sender:
    """One sender. `run` loops until it is told to stop; `tick` does one round, for tests."""

    def __init__(self, *, threads: int | None = None) -> None:
        self._threads = threads or settings.WEBHOOK_THREADS
        self._pool = ThreadPoolExecutor(self._threads, thread_name_prefix="webhook")
        self._done: queues.SimpleQueue[tuple[Attempt, Outcome]] = queues.SimpleQueue()
        self._busy: Counter[str] = Counter()
        self._running = 0

    def run(self, stop: Event) -> None:
        """Works until `stop` is set, then lets what is under way come to its end."""
        try:
            while not stop.is_set():
                request_ids.begin()
                try:
                    close_old_connections()
                    connection.ensure_connection()
                    if not self.tick():
                        self._wait(IDLE_SECONDS)
                except Exception:
                    # Whatever it was, clients are told of the next events; leases end by themselves.
                    logger.exception("the sender of webhooks could not do its round")
                    stop.wait(1.0)
        finally:
            self.drain()
            connections.close_all()

    def tick(self) -> bool:
        """Writes down what has come, then starts what is to do; whether there is more to do at once."""
        came = self._apply_all()
        made = fan_out()
        begun = claim(self._threads - self._running, self._busy)
        for attempt in begun:
            self._running += 1
            self._pool.submit(self._send, attempt)
        # Events that come one by one wait for each other: a round for each would take the time that jobs need.
        return bool(came or begun or made == MOST_EVENTS)

    def drain(self) -> None:
        """Waits for the attempts under way and writes down what came of them; waits for a database that is away."""
        until = time.monotonic() + _PATIENCE_SECONDS
        while self._running:
            try:
                self._wait(5.0)
            except (OperationalError, InterfaceError):
                if time.monotonic() > until:
                    raise
                close_old_connections()
                time.sleep(0.5)
        self._pool.shutdown()

    def _send(self, attempt: Attempt) -> None:
        self._done.put((attempt, send(attempt)))

    def _wait(self, seconds: float) -> None:
        """Until something comes, or the time is over."""
        try:
            came = self._done.get(timeout=seconds)
        except queues.Empty:
            return
        self._apply(came)

    def _apply_all(self) -> int:
        count = 0
        while True:
            try:
                came = self._done.get_nowait()
            except queues.Empty:
                return count
            self._apply(came)
            count += 1

    def _apply(self, came: tuple[Attempt, Outcome]) -> None:
        attempt, outcome = came
        try:
            apply(attempt.delivery, outcome)
        except (OperationalError, InterfaceError):
            # Written down when the database is back; else what a receiver has taken would be sent to it once more.
            self._done.put(came)
            raise
        except Exception:
            self._free(attempt)
            raise
        self._free(attempt)

    def _free(self, attempt: Attempt) -> None:
        self._running -= 1
        free_lanes(self._busy, [attempt.delivery])
