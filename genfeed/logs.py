"""Log lines: JSON for machines or text for people, each with the id of the request that it belongs to."""

import logging
import re
from contextlib import suppress
from typing import Any

from pythonjsonlogger.core import RESERVED_ATTRS

# The address of a webhook of ours: what comes after the job is its token.
_WEBHOOK = re.compile(r"(?<!\S)(/+webhooks/[^/]*/[^/]*)/.*", re.DOTALL)


def without_token(text: str) -> str:
    """A path, or a line that ends in one, without the token of the job that a provider calls back for."""
    return _WEBHOOK.sub(r"\1", text)


class TokenFilter(logging.Filter):
    """Takes the tokens of jobs out of lines: Django's own tell the path of whatever they answer with an error."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Changes the record where its text has such a path, and keeps it."""
        # What can't be put together is told by the handler; here it would stop the request.
        with suppress(TypeError, ValueError):
            text = record.getMessage()
            if "/webhooks/" in text:
                record.msg, record.args = without_token(text), None
        return True


class OneLineFormatter(logging.Formatter):
    """Lines for people: what others have sent begins no line of its own, and tells a terminal nothing."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        return super().formatMessage(record).translate(_SHOWN)

    def formatException(self, ei: Any) -> str:
        return super().formatException(ei).translate(_SHOWN_IN_TRACES)


# Controls of both sets, and what ends a line in Unicode's eyes.
_CONTROLS = [*range(0x20), *range(0x7F, 0xA0), 0x2028, 0x2029]
_SHOWN = {number: repr(chr(number))[1:-1] for number in _CONTROLS}
_SHOWN_IN_TRACES = {number: text for number, text in _SHOWN.items() if chr(number) not in "\n\t"}


def logging_of(format: str, level: str) -> dict[str, Any]:
    """Django's LOGGING: everything to standard error; `format` is "json" or "text", `level` the least that is told."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "filters": {
            "request_id": {"()": "genfeed.journal.request_ids.RequestIdFilter"},
            "tokens": {"()": "genfeed.logs.TokenFilter"},
        },
        "formatters": {
            "json": {
                "()": "pythonjsonlogger.orjson.OrjsonFormatter",
                "fmt": "%(asctime)s %(levelname)s %(name)s %(message)s %(request_id)s",
                "rename_fields": {"asctime": "time", "levelname": "level", "name": "logger"},
                # Django hangs the request on its own lines, and its text shows the query string.
                "reserved_attrs": [*RESERVED_ATTRS, "request"],
            },
            "text": {
                "()": "genfeed.logs.OneLineFormatter",
                "fmt": "{asctime} {levelname} {name} [{request_id}] {message}",
                "style": "{",
            },
        },
        "handlers": {
            "stderr": {"class": "logging.StreamHandler", "formatter": format, "filters": ["request_id", "tokens"]}
        },
        "root": {"handlers": ["stderr"], "level": level},
        "loggers": {
            "django": {"level": level, "handlers": [], "propagate": True},
            "django.server": {"level": "WARNING", "handlers": [], "propagate": True},
            "django-q": {"level": "WARNING", "handlers": [], "propagate": True},
            # One line a provider call would drown the log of a sync; errors are reported by the code that called.
            "httpx": {"level": "WARNING"},
        },
    }
