"""The one shape of every error of the API, and the closed list of its codes."""

from typing import Any

import orjson
from django.http import HttpResponse

from genfeed.journal import request_ids

# code -> HTTP status. Clients branch on codes: none is ever renamed, and new ones come with a new need only.
CODES = {
    "invalid_request": 400,
    "invalid_input": 422,
    "unknown_field": 422,
    "model_not_found": 404,
    "model_ambiguous": 409,
    "model_disabled": 409,
    "model_unpriced": 409,
    "model_retired": 410,
    "unauthorized": 401,
    "forbidden_scope": 403,
    "not_found": 404,
    "conflict": 409,
    "idempotency_key_reused": 422,
    "idempotency_in_progress": 409,
    "insufficient_funds": 402,
    "budget_exceeded": 402,
    "price_above_max": 402,
    "rate_limited": 429,
    "too_many_in_flight": 429,
    "queue_full": 429,
    "payload_too_large": 413,
    "unsupported_media": 415,
    "provider_unavailable": 503,
    "provider_error": 502,
    "provider_rejected_input": 422,
    "content_refused": 422,
    "timeout": 504,
    "queue_timeout": 504,
    "submit_unknown": 502,
    "offline": 503,
    "not_configured": 503,
    "internal_error": 500,
}
# What a caller waits before it asks again while the database is away.
AWAY_SECONDS = 5


class ApiError(Exception):
    """An answer to a request that can't be served: what is wrong (`message`) and what to do about it (`hint`)."""

    def __init__(
        self,
        code: str,
        message: str,
        hint: str = "",
        *,
        status: int | None = None,
        details: Any = None,
        retry_after: int | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint
        self.status = status or CODES[code]
        self.details = details
        self.retry_after = retry_after


def database_away() -> ApiError:
    """The answer while the database can't be used. What was asked for may have been done all the same."""
    return ApiError(
        "internal_error",
        "Our database can't be used at this moment.",
        "Send the same request again after Retry-After seconds, with the same Idempotency-Key where it has one.",
        status=503,
        retry_after=AWAY_SECONDS,
    )


def error_response(error: ApiError) -> HttpResponse:
    """The JSON answer: `{code, message, hint, requestId}`, `details` where there are any, `retry_after` in seconds."""
    body: dict[str, Any] = {
        "code": error.code,
        "message": error.message,
        "hint": error.hint,
        "requestId": request_ids.current(),
    }
    if error.details is not None:
        body["details"] = error.details
    if error.retry_after is not None:
        body["retry_after"] = error.retry_after
    content = orjson.dumps(body)
    response = HttpResponse(content, content_type="application/json", status=error.status)
    # Errors made outside of CommonMiddleware get no length from it.
    response.headers["Content-Length"] = str(len(content))
    if error.retry_after is not None:
        response.headers["Retry-After"] = str(error.retry_after)
    return response
