"""The control API of the queue under /_sandbox/queue: look at requests, and move one by hand."""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from genfeed.sandbox.answers import PlatformError, json_answer
from genfeed.sandbox.effects import read_effects
from genfeed.sandbox.queue import running
from genfeed.sandbox.queue.request import COMPLETED, IN_PROGRESS, IN_QUEUE, QueuedRequest
from genfeed.sandbox.reading import FaultError
from genfeed.sandbox.state import Sandbox

SHOWN = 1_000
MOVES = ("start", "finish", "requeue", "webhook")


async def show_queue(_request: Request, sandbox: Sandbox) -> Response:
    """GET /_sandbox/queue: the latest requests, newest first, and how many there are."""
    line = sandbox.line
    latest = list(line.requests.values())[-SHOWN:][::-1]
    return json_answer(
        {
            "accepted": line.accepted,
            "waiting": line.length(),
            "running": len(line.running),
            "finished": len(line.finished),
            "forgotten": line.forgotten,
            "requests": [_shown(sandbox, one) for one in latest],
        }
    )


async def show_webhooks(_request: Request, sandbox: Sandbox) -> Response:
    """GET /_sandbox/webhooks: every attempt to deliver one, oldest first."""
    return json_answer({"attempts": sandbox.courier.to_json()})


def move(sandbox: Sandbox, request_id: str, wish: dict[str, Any]) -> QueuedRequest:
    """POST /_sandbox/queue/<id> {"do": …, effects}: start it, finish it, put it back, send its webhook once more.

    Effects that are named are laid over the request's own before. Raises FaultError for what cannot be done now.
    """
    request = sandbox.line.requests.get(request_id)
    if request is None:
        raise PlatformError(404, f"There is no request {request_id}")
    effects = read_effects({name: value for name, value in wish.items() if name != "do"})
    what = wish.get("do")
    if what is not None and what not in MOVES:
        raise FaultError(f"do must be one of {', '.join(MOVES)}.")
    if what == "webhook":
        if request.status != COMPLETED or request.options.webhook is None:
            raise FaultError("Only a finished request that named an address has a webhook.")
        sandbox.courier.send_again(sandbox, request, effects)
        return request
    if request.status == COMPLETED:
        raise FaultError("The request has ended already.")
    request.effects = {**request.effects, **effects}
    if what in ("start", "finish") and request.status == IN_QUEUE:
        sandbox.line.remove(request)
        running.start(sandbox, request)
    if what == "finish":
        running.leave_runner(sandbox, request)
    if what == "requeue" and request.status == IN_PROGRESS:
        running.put_back(sandbox, request)
    return request


def _shown(sandbox: Sandbox, request: QueuedRequest) -> dict[str, Any]:
    outcome = request.outcome
    return {
        "request_id": request.request_id,
        "endpoint_id": request.endpoint_id,
        "status": request.status,
        "position": sandbox.line.position(request) if request.status == IN_QUEUE else None,
        "sent_at": request.sent_at,
        "started_at": request.started_at,
        "ended_at": request.ended_at,
        "attempts": request.attempts,
        "is_cancelled": request.is_cancelled,
        "webhook": request.options.webhook,
        "input": request.given,
        "effects": request.effects,
        "status_code": outcome and outcome.status,
        "headers": outcome and outcome.headers,
    }
