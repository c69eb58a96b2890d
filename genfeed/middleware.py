"""Around every request: its id, its limits, its log line, its metrics; and JSON for every error under /api/."""

import logging
import time
from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from genfeed import metrics, remembered
from genfeed.clients.errors import ApiError, error_response
from genfeed.clients.limits import telling
from genfeed.journal import request_ids
from genfeed.logs import without_token

logger = logging.getLogger("genfeed.requests")

Handler = Callable[[HttpRequest], HttpResponse]
# Asked for every few seconds by machines; a line each would be most of the log.
_UNLOGGED = ("/healthz", "/readyz", "/metrics", "/static/")


class RequestLogMiddleware:
    """Takes `X-Request-Id` from the caller or makes one, answers with it and the limits; logs and counts requests."""

    def __init__(self, get_response: Handler) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        request_id = request_ids.begin(request.headers.get("X-Request-Id"))
        telling.begin()
        started = time.perf_counter()
        response = self.get_response(request)
        seconds = time.perf_counter() - started
        response.headers["X-Request-Id"] = request_id
        telling.write_headers(response)
        remembered.keep(request, response, _route(request))
        metrics.observe_request(request.method or "", _route(request), response.status_code, seconds)
        if not request.path.startswith(_UNLOGGED):
            identity = getattr(request, "identity", None)
            logger.info(
                "request",
                extra={
                    "method": request.method,
                    "path": without_token(request.path),
                    "status": response.status_code,
                    "ms": round(seconds * 1000, 2),
                    "caller": identity.actor.name if identity else None,
                },
            )
        return response


def _route(request: HttpRequest) -> str:
    """The pattern of the address, not the address: an id in a label would make a new time series for every id."""
    match = request.resolver_match
    return match.route if match else "(none)"


_BY_STATUS = {
    400: ("invalid_request", "The request could not be read.", "Check the address, the headers and the body."),
    403: ("forbidden_scope", "This is not allowed.", "Use a key or an account that may do this."),
    404: ("not_found", "There is nothing at this address.", "The addresses are listed at /api/v1/docs."),
    405: ("invalid_request", "This method is not allowed here.", "The Allow header names those that are."),
    413: ("payload_too_large", "The body is too large.", "Send less, or upload files first and refer to them."),
    503: ("internal_error", "Our database can't be used at this moment.", "Send the same request again in a moment."),
    500: ("internal_error", "Something went wrong on our side.", "Try again; if it stays, report the requestId."),
}


# Files come to these alone. They bound a form themselves, once they know who sends it.
_TAKE_FILES = ("/api/v1/uploads", "/v1/")


class FormSizeMiddleware:
    """Refuses forms that are larger than any page of ours sends, before any of it is read.

    Django bounds what it holds in memory; files of a form go to the disk, whoever sends them, e.g. to the login page.
    """

    def __init__(self, get_response: Handler) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        is_form = (request.content_type or "").startswith("multipart/")
        if is_form and not request.path.startswith(_TAKE_FILES):
            most, length = settings.DATA_UPLOAD_MAX_MEMORY_SIZE, request.META.get("CONTENT_LENGTH") or "0"
            if not (length.isascii() and length.isdigit()) or int(length[:20]) > most:
                hint = "Send less; files are uploaded at /api/v1/uploads."
                return error_response(ApiError("payload_too_large", f"A form may have {most} bytes here.", hint))
        return self.get_response(request)


class ApiErrorMiddleware:
    """Turns whatever error is not JSON yet into the API's shape: unknown routes, wrong methods, crashes."""

    def __init__(self, get_response: Handler) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        if response.status_code < 400 or not request.path.startswith("/api/"):
            return response
        if response.headers.get("Content-Type", "").startswith("application/json"):
            return response
        fallback = _BY_STATUS[500 if response.status_code >= 500 else 400]
        code, message, hint = _BY_STATUS.get(response.status_code, fallback)
        answer = error_response(ApiError(code, message, hint, status=response.status_code))
        for name in ("Allow", "Retry-After"):
            if name in response.headers:
                answer.headers[name] = response.headers[name]
        return answer
