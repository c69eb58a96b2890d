"""run_job: one job a call, however often the call is sent, and then a wait with progress."""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any

import orjson
from django.conf import settings
from django.utils import timezone

from jobs.events.hub import Watcher, hub
from jobs.protocols.agents.inner import Call, Told, ask, was_answered

logger = logging.getLogger(__name__)

# The same call without a session, sent again within this time, is the same job.
_WITHOUT_SESSION = 600
_LOOK_SECONDS = 15.0
_BETWEEN_LOOKS = 0.25
_ENDED = ("succeeded", "failed", "canceled")
# The key was revoked meanwhile, or may not read: another look would be answered alike.
_FOR_GOOD = (401, 403, 404)

Progress = Callable[[float, str], Awaitable[None]]


async def run(
    outer: Mapping[str, Any], call: Call, given: Mapping[str, Any], *, client_id: int, request_id: Any, tell: Progress
) -> Told:
    """Runs a job and waits for it; the job as it is then, or the error that nothing was accepted with.

    Once it was accepted nothing but the job is told, whatever comes between: an agent takes an error for a call that
    ran nothing, and calls again.

    `outer`: the environment of the request that called the tool; `tell` is told how far it is, in seconds waited.
    """
    key = await _key(outer, given, request_id, client_id)
    sent = replace(call, idempotency_key=key, forgets_refusals="idempotency_key" not in given)
    accepted = await ask(outer, sent)
    if accepted.status != 201:
        return accepted
    try:
        job = await _ended(outer, accepted.body, _seconds(given), client_id, tell)
    except Exception:
        logger.exception("job %s could not be waited for", accepted.body["id"])
        return accepted
    return replace(accepted, body=job)


async def _ended(outer: Mapping[str, Any], job: Any, seconds: float, client_id: int, tell: Progress) -> Any:
    """The job when it has ended and its files are here, or as it is when the time is over."""
    started = time.monotonic()
    until = started + seconds
    watcher = Watcher(client_id, job["id"])
    await hub.add(watcher)
    try:
        while True:
            told = await ask(outer, Call("GET", f"/api/v1/jobs/{job['id']}"))
            job = told.body if told.status == 200 else job
            left = until - time.monotonic()
            if told.status in _FOR_GOOD or left <= 0 or watcher.end_reason:
                return job
            is_made = job["status"] in _ENDED
            if is_made and not any(asset["state"] == "pending" for asset in job["assets"]):
                return job
            await tell(time.monotonic() - started, f"{job['id']} is {'stored' if is_made else job['status']}")
            # Where it could not be looked at, that is tried again after what the answer says.
            wait = told.retry_after or (_BETWEEN_LOOKS if is_made else _LOOK_SECONDS)
            await watcher.take(min(left, wait))
    finally:
        hub.remove(watcher)


def _seconds(given: Mapping[str, Any]) -> float:
    return float(min(given.get("wait_seconds", settings.SYNC_WAIT_SECONDS), settings.SYNC_WAIT_SECONDS))


async def _key(outer: Mapping[str, Any], given: Mapping[str, Any], request_id: Any, client_id: int) -> str:
    """The Idempotency-Key of a call; where it is made for a time, the one under which it came before."""
    key, *earlier = keys_of(outer, given, request_id)
    for one in earlier:
        if await was_answered(client_id, one, seconds=_WITHOUT_SESSION):
            return one
    return key


def keys_of(
    outer: Mapping[str, Any], given: Mapping[str, Any], request_id: Any, *, now: float | None = None
) -> list[str]:
    """The Idempotency-Key of a call: the one that was given, else made of session, request and arguments.

    It belongs to the client whose key is used. Clients without a session number their requests anew each time they
    start, so for those it holds for minutes only: it changes with the clock, and the one before, under which the
    call may have come a moment ago, comes second.
    """
    if named := given.get("idempotency_key"):
        return [f"mcp:{named}"]
    if session := outer.get("HTTP_MCP_SESSION_ID"):
        return [_made(session, request_id, given)]
    period = int((timezone.now().timestamp() if now is None else now) // _WITHOUT_SESSION)
    return [_made(one, request_id, given) for one in (period, period - 1)]


def _made(session: str | int, request_id: Any, given: Mapping[str, Any]) -> str:
    what = orjson.dumps([session, request_id, "run_job", dict(given)], option=orjson.OPT_SORT_KEYS)
    return f"mcp:{hashlib.sha256(what).hexdigest()}"
