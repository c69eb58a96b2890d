"""What a request's state looks like from outside."""

import time
from datetime import UTC, datetime
from typing import Any

from genfeed.sandbox.queue.request import IN_PROGRESS, IN_QUEUE, QueuedRequest
from genfeed.sandbox.state import Sandbox

# Log lines are a window that moves on, not a record.
WINDOW, STEPS = 3, 10


def urls_of(sandbox: Sandbox, request: QueuedRequest) -> dict[str, str]:
    """Where the request is answered: under its app alone, whatever endpoint was called."""
    base = f"{sandbox.base_url}/queue/{request.app}/requests/{request.request_id}"
    return {"response_url": base, "status_url": f"{base}/status", "cancel_url": f"{base}/cancel"}


def state_of(sandbox: Sandbox, request: QueuedRequest, *, with_logs: bool) -> dict[str, Any]:
    """The body of a status call."""
    state: dict[str, Any] = {"status": request.status, "request_id": request.request_id, **urls_of(sandbox, request)}
    if request.status == IN_QUEUE:
        return state | {"queue_position": sandbox.line.position(request)}
    state["logs"] = _logs(sandbox, request) if with_logs else None
    if request.status == IN_PROGRESS:
        return state
    state["metrics"] = {"inference_time": request.machine_seconds} if request.machine_seconds else {}
    outcome = request.outcome
    if outcome is not None and outcome.error_type is not None:
        state |= {"error": outcome.error, "error_type": outcome.error_type}
    return state


def _logs(sandbox: Sandbox, request: QueuedRequest) -> list[dict[str, str]]:
    if request.started_at is None:
        return []
    whole = max(0.001, request.effects.get("seconds", sandbox.faults.processing_ms / 1000))
    gone = time.time() - request.started_at
    done = STEPS if request.ended_at is not None else min(STEPS, int(STEPS * gone / whole))
    return [
        {
            "message": f"Step {step} of {STEPS}",
            "level": "INFO",
            "source": "USER",
            "timestamp": iso(request.started_at + whole * step / STEPS),
        }
        for step in range(max(0, done - WINDOW) + 1, done + 1)
    ]


def iso(at: float) -> str:
    """A Unix time in ISO 8601, UTC."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
