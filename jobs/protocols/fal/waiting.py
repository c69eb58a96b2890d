"""Answers that wait for a job: its result, its states as they come, its output as a stream. No thread waits."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import orjson

from genfeed.front.connections import Connection
from jobs.events.hub import hub
from jobs.events.rendering import HEARTBEAT
from jobs.events.slots import Slot
from jobs.models import Job
from jobs.protocols.fal.results import Ending, ending_of
from jobs.protocols.fal.states import is_over, state_of
from jobs.protocols.waiting import Waiting, cancel_quietly, load

# fal's clients never repeat a 504 that carries it.
_WANTED_NO_MORE = {"x-fal-request-timeout-type": "user"}


class _ByQueue(Waiting):
    """Knows where our queue is, which its answers name."""

    def __init__(self, slot: Slot, job: Job, *, base_url: str | None, queue_url: str) -> None:
        super().__init__(slot, job, base_url=base_url)
        self._queue_url = queue_url


class ResultAnswer(_ByQueue):
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
                decide(connection, for_good(ending))
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


class StatusStream(_ByQueue):
    """The states of a request as server-sent events, to the last."""

    def __init__(self, *given: Any, with_logs: bool, **more: Any) -> None:
        super().__init__(*given, **more)
        self._with_logs = with_logs

    def so_far(self) -> bytes:
        """The state of now, for servers that can hold no stream open."""
        job = load(self._id)
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


class OutputStream(_ByQueue):
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


def for_good(ending: Ending) -> Ending:
    """The ending of a direct run as no client repeats it: fal's for JavaScript would run the model again.

    It repeats 502, 503 and 504, but for those that say that the caller wanted no longer wait.
    """
    if ending.status == 504:
        return replace(ending, headers=ending.headers | _WANTED_NO_MORE)
    return replace(ending, status=500) if ending.status in (502, 503) else ending


def decide(connection: Connection, ending: Ending) -> None:
    """Answers with an ending."""
    headers = {"Content-Type": "application/json", **ending.headers}
    connection.decide(ending.status, headers, orjson.dumps(ending.body))


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
    return {
        "x-fal-request-id": job_id,
        "x-fal-error-type": "request_timeout",
        "x-fal-retryable": "false",
        **_WANTED_NO_MORE,
    }
