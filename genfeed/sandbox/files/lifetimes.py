"""How long files are kept: the headers `X-Fal-Object-Lifecycle` and `X-Fal-Object-Lifecycle-Preference`."""

from typing import Any

import orjson
from starlette.datastructures import Headers

NAMED = {"60s": 60, "1m": 60, "1h": 3600, "1d": 86_400, "7d": 604_800, "30d": 2_592_000, "1y": 31_536_000}


def lifetime_of(headers: Headers) -> float | None:
    """Seconds, None for ever. What is not understood is for ever too, as at an account without a setting."""
    text = headers.get("x-fal-object-lifecycle") or headers.get("x-fal-object-lifecycle-preference")
    if not text:
        return None
    try:
        wish: Any = orjson.loads(text)
    except orjson.JSONDecodeError:
        wish = text
    if isinstance(wish, dict):
        wish = wish.get("expiration_duration_seconds")
    if isinstance(wish, str):
        return NAMED.get(wish.replace(" ", ""), float(wish) if wish.isdigit() else None)
    return float(wish) if isinstance(wish, int | float) and not isinstance(wish, bool) and wish > 0 else None
