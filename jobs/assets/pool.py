"""Moves files beside the dispatcher's calls: threads download, store and hand over, the loop writes the rows."""

from __future__ import annotations

import logging
import queue as queues
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

from django.conf import settings
from django.db import DatabaseError, InterfaceError, OperationalError

from catalog.providers.queue import UnreachableError
from genfeed.journal import request_ids
from jobs.assets import fetching, handing_over
from jobs.assets.bringing import Bringing, is_brought
from jobs.assets.models import Asset

logger = logging.getLogger(__name__)


class Work:
    """A kind of work with files: `claim` and `apply` with the database, `ask` in a thread without it."""

    def __init__(self, module: Any, unforeseen: Callable[[], Any]) -> None:
        self.module = module
        self.unforeseen = unforeseen


# Jobs wait for files on their way to the provider; nobody waits for the others.
HAND_OVER = Work(handing_over, lambda: UnreachableError("it could not be handed over"))
FETCH = Work(fetching, lambda: fetching.CannotFetchError("it could not be stored"))


class FetchPool:
    """Files under way, a few at once. `tick` never waits; a file that is slow holds up no job."""

    def __init__(self) -> None:
        self._threads = settings.ASSET_THREADS
        self._pool = ThreadPoolExecutor(self._threads, thread_name_prefix="files")
        self._done: queues.SimpleQueue[tuple[Work, Any, Any]] = queues.SimpleQueue()
        self._running = 0
        self._bringing = Bringing(self._threads)

    def tick(self) -> bool:
        """Writes down what has come and starts what is due; whether there was anything."""
        came = self.write_down()
        begun = 0
        for work in (HAND_OVER, FETCH):
            for item in self._claim(work):
                self._running += 1
                begun += 1
                self._pool.submit(self._call, work, item)
        return bool(came or begun)

    @property
    def is_busy(self) -> bool:
        return self._running > 0

    def close(self) -> None:
        """Ends the threads; what they have under way must have been written down."""
        self._pool.shutdown()

    def _claim(self, work: Work) -> list[Any]:
        free = self._threads - self._running
        return fetching.claim(free, bringing=self._bringing) if work is FETCH else work.module.claim(free)

    def _free(self, item: Any) -> None:
        self._running -= 1
        if isinstance(item, Asset) and is_brought(item):
            self._bringing.end(item.client_id)

    def _call(self, work: Work, item: Any) -> None:
        request_ids.begin()
        try:
            outcome: Any = work.module.ask(item)
        except Exception as error:
            # Nobody foresaw it; it counts like any other failure, so that it is not tried for ever at once.
            logger.exception("file work on %s", item.pk)
            outcome = work.unforeseen()
            outcome.__cause__ = error
        self._done.put((work, item, outcome))

    def write_down(self) -> int:
        """Writes down what has come so far; how much that was."""
        came = []
        with suppress(queues.Empty):
            while True:
                came.append(self._done.get_nowait())
        stored = [(item, outcome) for _, item, outcome in came if isinstance(outcome, fetching.Stored)]
        if len(stored) > 1 and self._stored_together(stored):
            came = [one for one in came if not isinstance(one[2], fetching.Stored)]
        else:
            stored = []
        for place, one in enumerate(came):
            try:
                self._apply(*one)
            except Exception:
                for left in came[place + 1 :]:
                    self._done.put(left)
                raise
        return len(came) + len(stored)

    def _stored_together(self, stored: list[tuple[Asset, fetching.Stored]]) -> bool:
        """Writes many files down at once; False, and nothing is written, where each must be looked at by itself."""
        request_ids.begin()
        try:
            fetching.apply_all(stored)
        except (DatabaseError, InterfaceError):
            return False
        for item, _ in stored:
            self._free(item)
        return True

    def _apply(self, work: Work, item: Any, outcome: Any) -> None:
        request_ids.begin()
        try:
            work.module.apply(item, outcome)
        except (OperationalError, InterfaceError):
            # The file lies there already: it is written down when the database is back.
            self._done.put((work, item, outcome))
            raise
        except Exception:
            self._free(item)
            logger.exception("file work on %s could not be written down", item.pk)
            if isinstance(outcome, fetching.Stored):
                # Tried again it would be the same, and be brought here for ever.
                fetching.give_up(item, outcome)
        else:
            self._free(item)
