"""Errors as OpenAI's clients read them: `{"error": {message, type, param, code}}`, by status to the client's class.

Those clients repeat 408, 409, 429 and 5xx by themselves: whatever must not be repeated says so in `x-should-retry`.
Beside the words of that protocol stand our own hint and request id.
"""

from __future__ import annotations

from typing import Any

import orjson
from django.http import HttpResponse

from genfeed.clients.errors import ApiError
from genfeed.journal import request_ids

# Our code → their status, type and code, where theirs are others.
_AS = {
    "unauthorized": (401, "invalid_request_error", "invalid_api_key"),
    "forbidden_scope": (403, "invalid_request_error", "insufficient_permissions"),
    "model_not_found": (404, "invalid_request_error", "model_not_found"),
    "model_ambiguous": (404, "invalid_request_error", "model_ambiguous"),
    "model_disabled": (404, "invalid_request_error", "model_disabled"),
    "model_retired": (404, "invalid_request_error", "model_retired"),
    "model_unpriced": (400, "invalid_request_error", "model_unpriced"),
    "insufficient_funds": (429, "insufficient_quota", "insufficient_quota"),
    "budget_exceeded": (429, "insufficient_quota", "billing_hard_limit_reached"),
    "rate_limited": (429, "rate_limit_error", "rate_limit_exceeded"),
    "too_many_in_flight": (429, "rate_limit_error", "too_many_in_flight"),
    "queue_full": (429, "rate_limit_error", "queue_full"),
    "content_refused": (400, "image_generation_user_error", "content_policy_violation"),
    "unsupported_media": (400, "invalid_request_error", "unsupported_media"),
}
# The caller's own mistakes have one class there.
_BAD_REQUEST = (422,)
_ABOUT_THE_MODEL = ("model_not_found", "model_ambiguous", "model_disabled", "model_retired", "model_unpriced")
# Nothing was accepted, and a moment later it may well be.
_WORTH_REPEATING = (
    "rate_limited", "too_many_in_flight", "queue_full", "provider_unavailable", "offline", "idempotency_in_progress",
)  # fmt: skip

Told = tuple[int, dict[str, str], bytes]


def refused(param: str, message: str, hint: str = "Leave it out, or choose a model that has it.") -> ApiError:
    """The refusal of a parameter, by its name."""
    return ApiError("invalid_request", f"{param}: {message}", hint, details={"param": param})


def told(error: ApiError, *, job_id: str = "") -> Told:
    """Status, headers and body of an error. `job_id` where a job was accepted: it must not be repeated."""
    status, kind, code = _AS.get(error.code, (error.status, "", error.code))
    if status in _BAD_REQUEST:
        status = 400
    body: dict[str, Any] = {
        "message": " ".join(part for part in (error.message, error.hint) if part),
        "type": kind or ("server_error" if status >= 500 else "invalid_request_error"),
        "param": _param(error),
        "code": code,
        "hint": error.hint,
        "requestId": request_ids.current(),
    }
    if job_id:
        body["job"] = job_id
    headers = {"Content-Type": "application/json", "Cache-Control": "no-store"}
    headers["x-should-retry"] = "true" if error.code in _WORTH_REPEATING and not job_id else "false"
    if error.retry_after is not None:
        headers["Retry-After"] = str(error.retry_after)
    return status, headers, orjson.dumps({"error": body})


def error_answer(error: ApiError) -> HttpResponse:
    """The answer for an error that nothing was accepted with."""
    status, headers, body = told(error)
    answer = HttpResponse(body, status=status)
    for name, value in headers.items():
        answer.headers[name] = value
    return answer


def replayed_error(kept: HttpResponse) -> ApiError:
    """The error that a kept answer of ours tells of."""
    body = orjson.loads(kept.content)
    return ApiError(body["code"], body["message"], body["hint"], status=kept.status_code, details=body.get("details"))


def _param(error: ApiError) -> str | None:
    if error.code in _ABOUT_THE_MODEL:
        return "model"
    found = error.details.get("param") if isinstance(error.details, dict) else None
    return str(found) if found else None
