"""The id of the request (or command, or task) at work, for log lines, error bodies and audit events."""

import logging
import re
import secrets
from contextvars import ContextVar

_current: ContextVar[str] = ContextVar("request_id", default="")
_ACCEPTABLE = re.compile(r"[A-Za-z0-9._-]{8,64}")


def begin(offered: str | None = None) -> str:
    """Starts a new id for this context and returns it: `offered` where it is well-formed, else `req_` + 24 hex."""
    acceptable = offered is not None and _ACCEPTABLE.fullmatch(offered)
    request_id = offered if offered and acceptable else f"req_{secrets.token_hex(12)}"
    _current.set(request_id)
    return request_id


def current() -> str:
    """The id of the work in this context, "" outside of any."""
    return _current.get()


class RequestIdFilter(logging.Filter):
    """Puts the id on every log record, so that each line of a request can be found by it."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.request_id = current()
        return True
