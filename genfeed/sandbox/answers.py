"""Answers in the shapes of fal's Platform API. Error bodies: fal Platform OpenAPI, any non-200 answer."""

from typing import Any
from uuid import uuid4

import orjson
from starlette.responses import Response

JSON = "application/json"
ERROR_TYPES = {
    400: "validation_error",
    401: "authorization_error",
    403: "authorization_error",
    404: "not_found",
    405: "validation_error",
    429: "rate_limited",
    501: "not_implemented",
}
# The other hosts answer errors as `{"detail": …}`.
MODEL_HOSTS = ("/queue/", "/given/", "/run/", "/rest/", "/cdn/")


class PlatformError(Exception):
    """Ends a request with the error body of the Platform API."""

    def __init__(self, status: int, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.retry_after = retry_after


def json_answer(body: Any, status: int = 200) -> Response:
    """Encode `body` and answer with it."""
    return Response(orjson.dumps(body), status_code=status, media_type=JSON)


def encoded_answer(body: bytes, status: int = 200) -> Response:
    """Answer with JSON that is encoded already."""
    return Response(body, status_code=status, media_type=JSON)


def error_body(status: int, message: str) -> bytes:
    """The encoded error body for a status; statuses without a type of their own are server errors."""
    error = {"type": ERROR_TYPES.get(status, "server_error"), "message": message, "request_id": str(uuid4())}
    return orjson.dumps({"error": error})


def error_answer(error: PlatformError) -> Response:
    """The answer for an error, with Retry-After where it has one."""
    answer = encoded_answer(error_body(error.status, error.message), error.status)
    if error.retry_after is not None:
        answer.headers["retry-after"] = format_seconds(error.retry_after)
    return answer


def format_seconds(seconds: float) -> str:
    """Seconds for a Retry-After header: whole numbers without a fraction."""
    return f"{seconds:g}"
