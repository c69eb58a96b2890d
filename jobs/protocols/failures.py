"""What went wrong in a request of a foreign protocol, in our own words, for each protocol to say in its own form."""

from __future__ import annotations

import logging

from django.core.exceptions import RequestDataTooBig, SuspiciousOperation
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, RawPostDataException, UnreadablePostError
from django.http.multipartparser import MultiPartParserError

from genfeed.clients.errors import ApiError, database_away

logger = logging.getLogger(__name__)
_UNREADABLE = (SuspiciousOperation, MultiPartParserError, RawPostDataException, UnreadablePostError)


def told(request: HttpRequest, error: Exception, *, too_large: str, unreadable: str) -> ApiError:
    """The error to answer with; whatever nobody foresaw is logged and is an `internal_error`.

    `too_large` and `unreadable`: hints, what this protocol's clients should send instead.
    """
    if isinstance(error, ApiError):
        return error
    if isinstance(error, RequestDataTooBig):
        return ApiError("payload_too_large", "The body is too large.", too_large)
    if isinstance(error, _UNREADABLE):
        return ApiError("invalid_request", "The body of the request could not be read.", unreadable)
    if isinstance(error, OperationalError | InterfaceError):
        logger.error("the database could not be used in %s %s: %s", request.method, request.path, error)
        return database_away()
    logger.exception("unhandled error in %s %s", request.method, request.path)
    return ApiError("internal_error", "Something went wrong on our side.", "If it stays, report the request's id.")
