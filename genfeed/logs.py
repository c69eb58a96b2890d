"""Log lines: JSON for machines or text for people, each with the id of the request that it belongs to."""

from typing import Any

from pythonjsonlogger.core import RESERVED_ATTRS


def logging_of(format: str, level: str) -> dict[str, Any]:
    """Django's LOGGING: everything to standard error; `format` is "json" or "text", `level` the least that is told."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "filters": {"request_id": {"()": "genfeed.journal.request_ids.RequestIdFilter"}},
        "formatters": {
            "json": {
                "()": "pythonjsonlogger.orjson.OrjsonFormatter",
                "fmt": "%(asctime)s %(levelname)s %(name)s %(message)s %(request_id)s",
                "rename_fields": {"asctime": "time", "levelname": "level", "name": "logger"},
                # Django hangs the request on its own lines, and its text shows the query string.
                "reserved_attrs": [*RESERVED_ATTRS, "request"],
            },
            "text": {"format": "{asctime} {levelname} {name} [{request_id}] {message}", "style": "{"},
        },
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": format, "filters": ["request_id"]}},
        "root": {"handlers": ["stderr"], "level": level},
        "loggers": {
            "django": {"level": level, "handlers": [], "propagate": True},
            "django.server": {"level": "WARNING", "handlers": [], "propagate": True},
            "django-q": {"level": "WARNING", "handlers": [], "propagate": True},
            # One line a provider call would drown the log of a sync; errors are reported by the code that called.
            "httpx": {"level": "WARNING"},
        },
    }
