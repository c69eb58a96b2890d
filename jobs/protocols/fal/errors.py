"""Errors as fal's clients read them: `{"detail": …}`, the type in a header, and statuses that mean the same to them.

They repeat 408, 409 and 429 by themselves, so those are kept for what a repetition mends. Beside the detail stand our
own code, message, hint and request id, which these clients pass on and do not mind.
"""

from __future__ import annotations

from typing import Any

import orjson
from django.http import HttpResponse

from genfeed.clients.errors import ApiError
from genfeed.journal import request_ids

DOCS = "https://docs.fal.ai/errors/#"
_STATUS = {
    # A person has to do something: the same request meets the same answer.
    "model_ambiguous": 404,
    "model_disabled": 404,
    "model_unpriced": 404,
    "model_retired": 404,
    "insufficient_funds": 403,
    "budget_exceeded": 403,
    "price_above_max": 403,
    "conflict": 400,
    "unsupported_media": 422,
}
_TYPES = {
    "rate_limited": "concurrent_requests_limit",
    "too_many_in_flight": "concurrent_requests_limit",
    "queue_full": "concurrent_requests_limit",
    "invalid_request": "bad_request",
    "internal_error": "internal_error",
    "provider_unavailable": "runner_scheduling_failure",
    "offline": "runner_scheduling_failure",
}
# Our words for what is wrong with a field, in fal's.
_PROBLEMS = {
    "too_small": "greater_than_equal",
    "too_large": "less_than_equal",
    "too_short": "string_too_short",
    "too_long": "string_too_long",
    "too_few": "sequence_too_short",
    "too_many": "sequence_too_long",
    "enum": "one_of",
    "type": "value_error",
    "unusable_file": "file_download_error",
    "not_allowed": "feature_not_supported",
    "unknown_field": "extra_forbidden",
}
_LOCKED = "User is locked. Reason: Exhausted balance. "


def error_answer(error: ApiError, headers: dict[str, str] | None = None) -> HttpResponse:
    """The answer for an error that nothing was accepted with."""
    status = _STATUS.get(error.code, error.status)
    body = {"detail": _detail(error), "code": error.code, "message": error.message, "hint": error.hint}
    body["requestId"] = request_ids.current()
    answer = HttpResponse(orjson.dumps(body), content_type="application/json", status=status)
    if error_type := _TYPES.get(error.code):
        answer.headers["X-Fal-Error-Type"] = error_type
    answer.headers["X-Fal-Retryable"] = "true" if status in (409, 429, 503) else "false"
    if status == 429:
        answer.headers["X-Fal-Needs-Retry"] = "1"
    if error.retry_after is not None:
        answer.headers["Retry-After"] = str(error.retry_after)
    for name, value in (headers or {}).items():
        answer.headers[name] = value
    return answer


def no_realtime() -> ApiError:
    """The answer to whoever opens a realtime connection. No client repeats it."""
    hint = "Use the queue, a direct run or a stream of the same model: subscribe, run or stream of fal's clients."
    return ApiError("invalid_request", "Realtime connections are not served here.", hint)


def no_parts() -> ApiError:
    """The answer to an upload in parts. No client repeats it."""
    return ApiError(
        "payload_too_large",
        "fal's client sends files of more than 90 MB in parts, which are not taken here.",
        "Have your server send the file to /api/v1/uploads, whole or resumable, and name it in the input as "
        "asset:ast_…; or name its web address.",
    )


def replayed_error(kept: HttpResponse) -> ApiError:
    """The error that a kept answer of ours tells of."""
    body = orjson.loads(kept.content)
    details = body.get("details")
    return ApiError(body["code"], body["message"], body["hint"], status=kept.status_code, details=details)


def _detail(error: ApiError) -> Any:
    problems = error.details.get("problems") if isinstance(error.details, dict) else None
    if error.code in ("invalid_input", "unknown_field") and problems:
        return [_problem(item) for item in problems]
    if error.code in ("content_refused", "unsupported_media"):
        return [entry("content_policy_violation" if error.code == "content_refused" else "value_error", error.message)]
    words = f"{error.message} {error.hint}".strip()
    return _LOCKED + words if error.code == "insufficient_funds" else words


def _problem(item: dict[str, str]) -> dict[str, Any]:
    kind = _PROBLEMS.get(item["code"], item["code"])
    place = item["path"].removeprefix("input").lstrip(".").replace("[", ".").replace("]", "")
    parts = [int(part) if part.isascii() and part.isdigit() else part for part in place.split(".") if part]
    return entry(kind, f"{item['message']}; {item['hint']}" if item.get("hint") else item["message"], parts)


def entry(kind: str, message: str, place: list[str | int] | None = None) -> dict[str, Any]:
    """One entry of a detail, as its models give them."""
    return {"loc": ["body", *(place or [])], "msg": message, "type": kind, "url": DOCS + kind}
