"""What a request looks like while it waits, runs and has ended: three states, and none for failures."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from jobs.dispatching.ahead import ahead_of
from jobs.models import Job, JobEvent, Status
from jobs.protocols.fal.names import app_of
from jobs.protocols.fal.results import ending_of

# Log lines are the latest ones, as fal shows them, not a record: those are at /api/v1/jobs/{id}/events.
_LINES = 50
_LEVELS = ("STDERR", "STDOUT", "ERROR", "INFO", "WARN", "DEBUG")


def urls_of(job_id: str, endpoint_id: str, queue_url: str) -> dict[str, str]:
    """Where the request is asked about, below the address of our queue."""
    base = f"{queue_url}/{app_of(endpoint_id)}/requests/{job_id}"
    return {"response_url": base, "status_url": f"{base}/status", "cancel_url": f"{base}/cancel"}


def accepted(job: Job, queue_url: str) -> dict[str, Any]:
    """The answer to a submit."""
    named = {"status": "IN_QUEUE", "request_id": job.pk, "gateway_request_id": job.pk}
    return named | urls_of(job.pk, job.endpoint_id, queue_url) | {"queue_position": 0}


def state_of(job: Job, queue_url: str, *, with_logs: bool) -> dict[str, Any]:
    """The body of a status."""
    state: dict[str, Any] = {"request_id": job.pk, **urls_of(job.pk, job.endpoint_id, queue_url)}
    if not job.has_ended and not _is_running(job):
        return {"status": "IN_QUEUE", **state, "queue_position": ahead_of([job]).get(job.pk, job.queue_position or 0)}
    state["logs"] = logs_of(job) if with_logs else None
    if not job.has_ended:
        return {"status": "IN_PROGRESS", **state}
    state["metrics"] = {}
    if job.started_at and job.finished_at:
        state["metrics"] = {"inference_time": round((job.finished_at - job.started_at).total_seconds(), 3)}
    if job.status != Status.SUCCEEDED:
        ending = ending_of(job)
        state |= {"error": ending.error, "error_type": ending.error_type}
    return {"status": "COMPLETED", **state}


def is_over(state: dict[str, Any]) -> bool:
    """Whether a state is the last one."""
    return state["status"] == "COMPLETED"


def logs_of(job: Job) -> list[dict[str, Any]]:
    """The latest log lines, the oldest first."""
    events = JobEvent.objects.filter(job=job.pk, kind="job_progress").order_by("-number")[:_LINES]
    lines = [_line(one) for event in reversed(events) for one in _lines(event.data)]
    return lines[-_LINES:]


def _lines(data: dict[str, Any]) -> Iterable[dict[str, Any]]:
    return [one for one in data.get("logs", ()) if isinstance(one, dict)]


def _line(told: dict[str, Any]) -> dict[str, Any]:
    level = str(told.get("level", "INFO"))
    return {
        "message": str(told.get("message", "")),
        "level": level if level in _LEVELS else "INFO",
        "source": "USER",
        "timestamp": told.get("timestamp"),
    }


def _is_running(job: Job) -> bool:
    return job.status == Status.RUNNING or (job.status == Status.CANCELING and job.started_at is not None)
