"""How a job that has ended is answered for: its output, or its failure with the status that fal gives it."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from jobs.assets.rendering import assets_of, output_with_urls
from jobs.models import Job, Status
from jobs.protocols.fal.errors import entry

_CANCELED = (499, "client_cancelled", "Request was cancelled by the client.")
# Our code → status, type of a platform's error ("" where it is the model's), type of the entry in the detail.
_FAILURES = {
    "content_refused": (422, "", "content_policy_violation"),
    "provider_rejected_input": (422, "", "value_error"),
    "timeout": (504, "request_timeout", ""),
    "queue_timeout": (504, "startup_timeout", ""),
    "provider_unavailable": (503, "runner_scheduling_failure", ""),
    "submit_unknown": (503, "runner_disconnected", ""),
    "model_retired": (404, "", ""),
    "offline": (503, "runner_scheduling_failure", ""),
}
_UNKNOWN = (500, "runner_server_error", "")


@dataclass(frozen=True, slots=True)
class Ending:
    """What the result of a request is answered with. `error_type` and `error` are empty for a success."""

    status: int
    body: Any
    headers: dict[str, str] = field(default_factory=dict)
    error: str = ""
    error_type: str = ""


def ending_of(job: Job, *, base_url: str | None = None) -> Ending:
    """The ending of a job that has ended. `base_url`: where our addresses begin, PUBLIC_URL for None."""
    headers = {"x-fal-request-id": job.pk, "x-fal-served-from": "genfeed"}
    if job.billed_units:
        headers["x-fal-billable-units"] = units(job.billed_units)
    if job.status == Status.SUCCEEDED:
        return Ending(200, output_with_urls(job.output, assets_of([job]).get(job.pk, []), base_url=base_url), headers)
    error = job.error or {}
    message = " ".join(part for part in (error.get("message"), error.get("hint")) if part)
    if job.status == Status.CANCELED:
        status, error_type, message = _CANCELED
        kind = ""
    else:
        status, error_type, kind = _FAILURES.get(error.get("code", ""), _UNKNOWN)
    headers["x-fal-retryable"] = "true" if status >= 500 else "false"
    if not error_type:
        return Ending(status, {"detail": [entry(kind, message)] if kind else message}, headers, message, kind)
    headers["x-fal-error-type"] = error_type
    return Ending(status, {"detail": message, "error_type": error_type}, headers, message, error_type)


def units(text: str) -> str:
    """Billed units as fal writes them: whole numbers plainly, others with eight decimals."""
    number = Decimal(text)
    return str(int(number)) if number == number.to_integral_value() else f"{number:.8f}"
