"""The life of requests: accepted, started when there is room, put back, ended, cancelled."""

from __future__ import annotations

import asyncio
import time
import traceback
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from genfeed.sandbox.effects import Effects, effects_of
from genfeed.sandbox.queue.errors import platform_outcome
from genfeed.sandbox.queue.making import make_outcome
from genfeed.sandbox.queue.names import app_of
from genfeed.sandbox.queue.request import COMPLETED, IN_PROGRESS, IN_QUEUE, Options, Outcome, QueuedRequest

if TYPE_CHECKING:
    from genfeed.sandbox.state import Sandbox

MOST_ATTEMPTS = 10


def accept(
    sandbox: Sandbox,
    *,
    endpoint_id: str,
    given: Any,
    body: bytes,
    options: Options,
    is_direct: bool = False,
    account: str = "",
    effects: Effects | None = None,
) -> QueuedRequest:
    """Take a request in. It starts once this turn of the event loop is over. `effects` go before those of rules."""
    request = QueuedRequest(
        request_id=str(uuid4()),
        gateway_id=str(uuid4()),
        endpoint_id=endpoint_id,
        app=app_of(endpoint_id),
        given=given,
        body_size=len(body),
        options=options,
        effects=effects_of(sandbox.faults.jobs, endpoint_id, body) | (effects or {}),
        sent_at=time.time(),
        is_direct=is_direct,
        account=account,
    )
    sandbox.line.add(request)
    loop = asyncio.get_running_loop()
    if options.start_timeout is not None:
        request.start_timer = loop.call_later(options.start_timeout, expire, sandbox, request)
    if waits := request.effects.get("waits"):
        loop.call_later(waits, _let_start, sandbox, request)
    loop.call_soon(fill, sandbox)
    return request


def _let_start(sandbox: Sandbox, request: QueuedRequest) -> None:
    request.effects.pop("waits", None)
    fill(sandbox)


def fill(sandbox: Sandbox) -> None:
    """Start as many requests as there is room for."""
    while len(sandbox.line.running) < sandbox.faults.concurrency:
        request = sandbox.line.take_next()
        if request is None:
            return
        start(sandbox, request)


def start(sandbox: Sandbox, request: QueuedRequest) -> None:
    """A runner takes a request that is out of the line."""
    request.stop_timers()
    request.status = IN_PROGRESS
    request.started_at = time.time()
    request.attempts += 1
    sandbox.line.running.add(request)
    if request.effects.get("stuck") != "IN_PROGRESS":
        seconds = request.effects.get("seconds", sandbox.faults.processing_ms / 1000)
        request.timer = asyncio.get_running_loop().call_later(seconds, leave_runner, sandbox, request)


def leave_runner(sandbox: Sandbox, request: QueuedRequest) -> None:
    """The runner is done, or has given up: then the queue tries again by itself, ten times at most."""
    fails = request.attempts <= request.effects.get("requeue", 0)
    if not fails:
        complete(sandbox, request, _run(sandbox, request))
    elif not request.options.retries or request.is_direct or request.attempts >= MOST_ATTEMPTS:
        complete(sandbox, request, platform_outcome("runner_disconnected"))
    else:
        put_back(sandbox, request)


def _run(sandbox: Sandbox, request: QueuedRequest) -> Outcome:
    """A mistake of this server must not leave the request running for ever: it ends it, and is shown."""
    try:
        return make_outcome(sandbox, request, time.time())
    except Exception:
        traceback.print_exc()
        return platform_outcome("internal_error")


def put_back(sandbox: Sandbox, request: QueuedRequest) -> None:
    """A running request waits again, under a new gateway id."""
    request.stop_timers()
    sandbox.line.running.discard(request)
    request.status = IN_QUEUE
    request.started_at = None
    request.gateway_id = str(uuid4())
    sandbox.line.enqueue(request)
    fill(sandbox)


def expire(sandbox: Sandbox, request: QueuedRequest) -> None:
    """A request has not started in the time that its sender gave it."""
    if request.status == IN_QUEUE:
        sandbox.line.remove(request)
        timeout = platform_outcome("request_timeout")
        headers = timeout.headers | {"x-fal-request-timeout-type": "user"}
        complete(sandbox, request, Outcome(504, timeout.body, headers, timeout.error_type, timeout.error))


def cancel(sandbox: Sandbox, request: QueuedRequest) -> bool:
    """Ask for a request to be stopped; False when it has ended already."""
    if request.status == COMPLETED:
        return False
    wish = request.effects.get("cancel")
    if request.status == IN_QUEUE:
        if wish is None:
            sandbox.line.remove(request)
            request.is_cancelled = True
            complete(sandbox, request, platform_outcome("client_cancelled"))
    elif wish is None:
        request.is_cancelled = True
        complete(sandbox, request, platform_outcome("client_cancelled"))
    elif wish == "too_late":
        complete(sandbox, request, _run(sandbox, request))
    return True


def complete(sandbox: Sandbox, request: QueuedRequest, outcome: Outcome) -> None:
    """The end: the answer is there, who waits for it is told, the room is free."""
    request.stop_timers()
    request.outcome = outcome
    sandbox.line.finish(request, time.time())
    request.ended.set()
    if request.options.webhook is not None and not request.is_cancelled:
        sandbox.courier.deliver(sandbox, request)
    fill(sandbox)
