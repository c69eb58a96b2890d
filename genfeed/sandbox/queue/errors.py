"""The bodies and headers of failed requests, as model APIs give them: `{"detail": …}`."""

from typing import Any

import orjson
from starlette.responses import Response

from genfeed.sandbox.effects import ErrorEnding
from genfeed.sandbox.outputs.validation import DOCS
from genfeed.sandbox.queue.request import Outcome

# The statuses at which the queue itself would try again; the platform's errors with their words.
PLATFORM = {
    "request_timeout": (504, "Request timed out"),
    "startup_timeout": (504, "Runner did not start in time"),
    "runner_scheduling_failure": (503, "No runner could be scheduled"),
    "runner_connection_timeout": (503, "Connection to the runner timed out"),
    "runner_disconnected": (503, "The runner disconnected"),
    "runner_connection_refused": (503, "The runner refused the connection"),
    "runner_connection_error": (503, "Connection to the runner failed"),
    "runner_incomplete_response": (502, "The runner's answer is incomplete"),
    "runner_server_error": (500, "The runner failed"),
    "internal_error": (500, "Internal error"),
    "client_disconnected": (499, "The client disconnected"),
    "client_cancelled": (499, "Request was cancelled"),
    "bad_request": (400, "Bad request"),
}
MODEL_MESSAGES = {
    "content_policy_violation": "The content was flagged by a content checker and could not be processed.",
    "no_media_generated": "The model did not make any media.",
    "image_load_error": "The image could not be loaded.",
    "file_download_error": "The file could not be downloaded.",
    "generation_timeout": "The generation took too long.",
    "downstream_service_error": "A service that the model needs has failed.",
    "downstream_service_unavailable": "A service that the model needs is not available.",
    "internal_server_error": "Something went wrong in the model.",
}
UNITS, RETRYABLE, ERROR_TYPE = "x-fal-billable-units", "x-fal-retryable", "x-fal-error-type"


class DetailError(Exception):
    """Ends a call with the error body of the model APIs."""

    def __init__(self, status: int, detail: Any, headers: dict[str, str] | None = None) -> None:
        super().__init__(str(detail))
        self.status = status
        self.detail = detail
        self.headers = headers or {}


def detail_answer(error: DetailError) -> Response:
    """The answer for an error."""
    body = orjson.dumps({"detail": error.detail})
    return Response(body, status_code=error.status, headers=error.headers, media_type="application/json")


def platform_outcome(error_type: str, status: int | None = None) -> Outcome:
    """The end of a request that did not fail in the model."""
    usual, words = PLATFORM.get(error_type, (500, error_type.replace("_", " ").capitalize()))
    body = orjson.dumps({"detail": words, "error_type": error_type})
    return Outcome(status or usual, body, {ERROR_TYPE: error_type}, error_type, words)


def rejected_outcome(problems: Any, *, status: int = 422) -> Outcome:
    """The end of a request whose input is refused before anything ran: nothing is billed."""
    return Outcome(status, orjson.dumps({"detail": problems}), {UNITS: "0", RETRYABLE: "false"})


def chosen_outcome(ending: ErrorEnding, given: Any) -> Outcome:
    """The end that a switch asks for."""
    if "error_type" in ending:
        return platform_outcome(ending["error_type"], ending["status"])
    status = ending["status"]
    kind = ending.get("type", "internal_server_error" if status >= 500 else "content_policy_violation")
    place = ["body", "prompt"] if isinstance(given, dict) and "prompt" in given else ["body"]
    entry = {"loc": place, "msg": MODEL_MESSAGES.get(kind, kind.replace("_", " ")), "type": kind, "url": DOCS + kind}
    retryable = ending.get("retryable", status >= 500)
    detail = ending.get("detail", [entry | {"input": given}])
    return Outcome(status, orjson.dumps({"detail": detail}), {RETRYABLE: "true" if retryable else "false"})
