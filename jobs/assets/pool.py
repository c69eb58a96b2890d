"""Fetches files beside the dispatcher's calls: threads download and store, the loop that ticks writes the rows."""

from __future__ import annotations

import logging
import queue as queues
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from django.conf import settings
from django.db import DatabaseError

from genfeed.journal import request_ids
from jobs.assets import fetching
from jobs.assets.models import Asset

logger = logging.getLogger(__name__)


class FetchPool:
    """Files under way, a few at once. `tick` never waits; a file that is slow holds up no job."""

    def __init__(self) -> None:
        self._threads = settings.ASSET_THREADS
        self._pool = ThreadPoolExecutor(self._threads, thread_name_prefix="fetch")
        self._done: queues.SimpleQueue[tuple[Asset, Any]] = queues.SimpleQueue()
        self._running = 0

    def tick(self) -> bool:
        """Writes down what has come and starts what is due; whether there was anything."""
        came = self._apply_all()
        begun = 0
        for asset in fetching.claim(self._threads - self._running):
            self._running += 1
            begun += 1
            self._pool.submit(self._call, asset)
        return bool(came or begun)

    def drain(self) -> None:
        """Waits for what is under way, writes it down, and ends."""
        while self._running:
            self._apply(*self._done.get())
        self._pool.shutdown()

    def _call(self, asset: Asset) -> None:
        request_ids.begin()
        try:
            outcome: Any = fetching.ask(asset)
        except Exception as error:
            outcome = error
        self._done.put((asset, outcome))

    def _apply_all(self) -> int:
        count = 0
        while True:
            try:
                came = self._done.get_nowait()
            except queues.Empty:
                return count
            self._apply(*came)
            count += 1

    def _apply(self, asset: Asset, outcome: Any) -> None:
        self._running -= 1
        request_ids.begin()
        if isinstance(outcome, Exception) and not isinstance(outcome, fetching.CannotFetchError):
            logger.error("asset %s: %s", asset.pk, type(outcome).__name__, exc_info=outcome)
            # Nobody foresaw it; it counts like any other failure, so that it is not tried for ever.
            outcome = fetching.CannotFetchError("it could not be stored")
        try:
            fetching.apply(asset, outcome)
        except DatabaseError:
            raise
        except Exception:
            logger.exception("asset %s could not be written down", asset.pk)
