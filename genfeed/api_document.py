"""The API's OpenAPI document as a file, so that a change of the API shows in the history, and is compared."""

from pathlib import Path
from typing import Any

import orjson
from django.conf import settings

from genfeed.api import api
from genfeed.api_breaks import find_breaks

DOCUMENT = Path(settings.BASE_DIR, "docs", "openapi.json")
# As it was in the last release: clients were written against it.
RELEASED = Path(settings.BASE_DIR, "docs", "released", "openapi.json")


def current_document() -> dict[str, Any]:
    """What `/api/v1/openapi.json` answers."""
    # By way of JSON: statuses are numbers before.
    described = orjson.dumps(api.get_openapi_schema(path_prefix="/api/v1/"), option=orjson.OPT_NON_STR_KEYS)
    return dict(orjson.loads(described))


def as_text(document: dict[str, Any]) -> bytes:
    """Sorted, so that only what has changed shows as changed."""
    return orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE)


def breaks_since_release() -> list[str]:
    """What callers of the last release would break at."""
    return find_breaks(orjson.loads(RELEASED.read_bytes()), current_document())
