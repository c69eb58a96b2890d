"""run_job: one job a call, however often the call is sent, and then a wait with progress."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any

import orjson
from django.conf import settings

from jobs.events.hub import Watcher, hub
from jobs.protocols.agents.inner import Call, Told, ask

# The same call without a session, sent again within this time, is the same job.
_WITHOUT_SESSION = 600
_LOOK_SECONDS = 15.0
_BETWEEN_LOOKS = 0.25
_ENDED = ("succeeded", "failed", "canceled")

Progress = Callable[[float, str], Awaitable[None]]


async def run(
    outer: Mapping[str, Any], call: Call, given: Mapping[str, Any], *, client_id: int, request_id: Any, tell: Progress
) -> Told:
    """Runs a job and waits for it; the job as it is then, or the error that nothing was accepted with.

    `outer`: the environment of the request that called the tool; `tell` is told how far it is, in seconds waited.
    """
    told = await ask(outer, replace(call, idempotency_key=key_of(outer, given, request_id)))
    if told.status != 201:
        return told
    started = time.monotonic()
    until = started + min(given.get("wait_seconds", settings.SYNC_WAIT_SECONDS), settings.SYNC_WAIT_SECONDS)
    job_id = told.body["id"]
    watcher = Watcher(client_id, job_id)
    await hub.add(watcher)
    try:
        while True:
            told = await ask(outer, Call("GET", f"/api/v1/jobs/{job_id}"))
            left = until - time.monotonic()
            if told.status != 200 or left <= 0 or watcher.end_reason:
                return told
            is_made = told.body["status"] in _ENDED
            if is_made and not any(asset["state"] == "pending" for asset in told.body["assets"]):
                return told
            await tell(time.monotonic() - started, f"{job_id} is {'stored' if is_made else told.body['status']}")
            await watcher.take(min(left, _BETWEEN_LOOKS if is_made else _LOOK_SECONDS))
    finally:
        hub.remove(watcher)


def key_of(outer: Mapping[str, Any], given: Mapping[str, Any], request_id: Any, *, now: float | None = None) -> str:
    """The Idempotency-Key of a call: the one that was given, else made of session, request and arguments.

    It belongs to the client whose key is used. Clients without a session number their requests anew each time they
    start, so for those it holds for minutes only.
    """
    if named := given.get("idempotency_key"):
        return f"mcp:{named}"
    session = outer.get("HTTP_MCP_SESSION_ID") or int((time.time() if now is None else now) // _WITHOUT_SESSION)
    what = orjson.dumps([session, request_id, "run_job", dict(given)], option=orjson.OPT_SORT_KEYS)
    return f"mcp:{hashlib.sha256(what).hexdigest()}"
