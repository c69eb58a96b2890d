"""Answers that wait for a job in the event loop: no thread is held, however long it takes."""

from __future__ import annotations

import logging
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator

from django.http import HttpRequest

from genfeed.clients.errors import ApiError
from genfeed.front.connections import HANDED_OVER, Connection
from jobs.canceling import cancel
from jobs.events.hub import Watcher, hub
from jobs.events.slots import Slot
from jobs.models import Job

logger = logging.getLogger(__name__)

_LOOK_SECONDS = 15.0


class Waiting(ABC):
    """Watches one job for one answer, which `_answer` gives."""

    def __init__(self, slot: Slot, job: Job, *, base_url: str | None) -> None:
        self._slot = slot
        self._id, self._client = job.pk, job.client_id
        self._base_url = base_url
        self._watcher = Watcher(self._client, self._id)

    async def run(self, connection: Connection) -> None:
        """Answers until the job, the client or this process ends it."""
        connection.on_end(self._watcher.end)
        try:
            await hub.add(self._watcher)
            await self._answer(connection)
        finally:
            hub.remove(self._watcher)

    def close(self) -> None:
        """Gives back what it holds; called once, whether it ran or not."""
        self._slot.give_back()

    @abstractmethod
    async def _answer(self, connection: Connection) -> None:
        """What is sent while the job runs and at its end; what it holds is given back after it."""

    async def _looks(self, until: float | None = None) -> AsyncIterator[Job | None]:
        """The job as it is whenever something has happened to it, and None while nothing does; ends with it.

        Ends with nothing where the client left or the process stops. `until`: when to look at the latest, by
        `time.monotonic`.
        """
        job = await hub.read(load, self._id)
        while True:
            yield job
            if (job is not None and job.has_ended) or self._watcher.end_reason:
                return
            left = _LOOK_SECONDS if until is None else min(_LOOK_SECONDS, max(0.05, until - time.monotonic()))
            came = await self._watcher.take(left)
            job = await hub.read(load, self._id) if came or until is not None else None
            until = None if until is not None and time.monotonic() >= until else until


def require_event_loop(request: HttpRequest, instead: str) -> None:
    """Raises ApiError where no request can wait: nothing may be accepted then. `instead`: what to do."""
    if HANDED_OVER not in getattr(request, "environ", {}):
        raise ApiError(
            "not_configured",
            "This server runs without the event loop, so that no request can wait for its result.",
            f"Nothing was accepted. {instead}",
        )


def cancel_quietly(job_id: str) -> None:
    """Cancels a job that nobody waits for any more, where that can still be."""
    job = load(job_id)
    if job is None or job.has_ended:
        return
    try:
        cancel(job)
    except ApiError as error:
        logger.info("job %s goes on: %s", job_id, error.message)


def load(job_id: str) -> Job | None:
    """The job as it is now."""
    return Job.objects.filter(pk=job_id).first()
