"""Answers that wait for a job: its result, its states as they come, its output as a stream. No thread waits."""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncIterator
from typing import Any

import orjson

from genfeed.clients.errors import ApiError
from genfeed.front.connections import Connection
from jobs.canceling import cancel
from jobs.events.hub import Watcher, hub
from jobs.events.rendering import HEARTBEAT
from jobs.events.slots import Slot
from jobs.models import Job
from jobs.protocols.fal.results import Ending, ending_of
from jobs.protocols.fal.states import is_over, state_of

logger = logging.getLogger(__name__)

_LOOK_SECONDS = 15.0


class Waiting:
    """Watches one job for one answer; the kinds of answers are below."""

    def __init__(self, slot: Slot, job: Job, *, base_url: str | None, queue_url: str) -> None:
        self._slot = slot
        self._id, self._client = job.pk, job.client_id
        self._base_url, self._queue_url = base_url, queue_url
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

    async def _answer(self, connection: Connection) -> None:
        raise NotImplementedError

    async def _looks(self, until: float | None = None) -> AsyncIterator[Job | None]:
        """The job as it is whenever something has happened to it, and None while nothing does; ends with it.

        Ends with nothing where the client left or the process stops. `until`: when to look at the latest, by
        `time.monotonic`.
        """
        job = await hub.read(_load, self._id)
        while True:
            yield job
            if (job is not None and job.has_ended) or self._watcher.end_reason:
                return
            left = _LOOK_SECONDS if until is None else min(_LOOK_SECONDS, max(0.05, until - time.monotonic()))
            came = await self._watcher.take(left)
            job = await hub.read(_load, self._id) if came or until is not None else None
            until = None if until is not None and time.monotonic() >= until else until


class ResultAnswer(Waiting):
    """The answer of a direct run: the result with its own status. A client that leaves has its job canceled."""

    answers_late = True

    def __init__(self, *given: Any, start_seconds: float | None, cancels: bool, **more: Any) -> None:
        super().__init__(*given, **more)
        self._cancels = cancels
        self._started_by = None if start_seconds is None else time.monotonic() + start_seconds

    async def _answer(self, connection: Connection) -> None:
        async for job in self._looks(self._started_by):
            if job is not None and job.has_ended:
                ending = await hub.read(ending_of_job, job, self._base_url)
                decide(connection, ending)
                return
            if job is not None and self._is_late(job):
                await hub.read(cancel_quietly, self._id)
                decide(connection, _too_late(self._id))
                return
        if self._watcher.end_reason == "gone":
            if self._cancels:
                await hub.read(cancel_quietly, self._id)
            return
        decide(connection, _goes_on(self._id, self._queue_url))

    def _is_late(self, job: Job) -> bool:
        return self._started_by is not None and job.started_at is None and time.monotonic() >= self._started_by


class StatusStream(Waiting):
    """The states of a request as server-sent events, to the last."""

    def __init__(self, *given: Any, with_logs: bool, **more: Any) -> None:
        super().__init__(*given, **more)
        self._with_logs = with_logs

    def so_far(self) -> bytes:
        """The state of now, for servers that can hold no stream open."""
        job = _load(self._id)
        return _event(self._state(job)) if job else b""

    async def _answer(self, connection: Connection) -> None:
        last = b""
        async for job in self._looks():
            if job is None:
                await connection.write(HEARTBEAT)
                continue
            state = await hub.read(self._state, job)
            event = _event(state)
            if event != last:
                await connection.write(event)
                last = event
            if is_over(state):
                return

    def _state(self, job: Job) -> dict[str, Any]:
        return state_of(job, self._queue_url, with_logs=self._with_logs)


class OutputStream(Waiting):
    """A model's `/stream`: the output as its only event, or what went wrong."""

    def so_far(self) -> bytes:
        """Nothing, for servers that can hold no stream open; they are not asked."""
        return b""

    async def _answer(self, connection: Connection) -> None:
        async for job in self._looks():
            if job is None:
                await connection.write(HEARTBEAT)
            elif job.has_ended:
                ending = await hub.read(ending_of_job, job, self._base_url)
                body = ending.body if not ending.error else {"error": ending.body, **ending.headers}
                await connection.write(_event(body))
        if self._watcher.end_reason == "gone":
            await hub.read(cancel_quietly, self._id)


def ending_of_job(job: Job, base_url: str | None) -> Ending:
    """`ending_of`, to be called in a thread."""
    return ending_of(job, base_url=base_url)


def decide(connection: Connection, ending: Ending) -> None:
    """Answers with an ending."""
    headers = {"Content-Type": "application/json", **ending.headers}
    connection.decide(ending.status, headers, orjson.dumps(ending.body))


def cancel_quietly(job_id: str) -> None:
    """Cancels a job that nobody waits for any more, where that can still be."""
    job = _load(job_id)
    if job is None or job.has_ended:
        return
    try:
        cancel(job)
    except ApiError as error:
        logger.info("job %s goes on: %s", job_id, error.message)


def _load(job_id: str) -> Job | None:
    return Job.objects.filter(pk=job_id).first()


def _event(body: Any) -> bytes:
    return b"data: " + orjson.dumps(body) + b"\n\n"


def _too_late(job_id: str) -> Ending:
    detail = {"detail": "Request timed out before it was started.", "error_type": "request_timeout"}
    return Ending(504, detail, _no_repeating(job_id))


def _goes_on(job_id: str, queue_url: str) -> Ending:
    """Nobody may send it again: it runs, and its result can be had."""
    detail = f"The server is restarted, and request {job_id} goes on: ask for its result below {queue_url}."
    return Ending(504, {"detail": detail, "error_type": "request_timeout"}, _no_repeating(job_id))


def _no_repeating(job_id: str) -> dict[str, str]:
    # fal's clients never repeat a 504 that carries the last of these.
    return {
        "x-fal-request-id": job_id,
        "x-fal-error-type": "request_timeout",
        "x-fal-retryable": "false",
        "x-fal-request-timeout-type": "user",
    }
