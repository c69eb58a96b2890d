"""Null characters: PostgreSQL keeps them in no text, and no provider has a use for them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from genfeed.clients.errors import ApiError


def refuse_null_characters(parts: Mapping[str, Any]) -> None:
    """Raises ApiError for the first text or name in these JSON values, by name, that holds a null character."""
    # Whatever holds one is written with these six letters; looking once costs less than walking through it all.
    if rb"\u0000" not in orjson.dumps(parts):
        return
    for name, value in parts.items():
        place = _place(value, name)
        if place:
            raise ApiError("invalid_request", f"{place}: holds a null character.", "Take it out, and send the rest.")


def _place(value: Any, path: str) -> str:
    if isinstance(value, str):
        return path if "\x00" in value else ""
    if isinstance(value, Mapping):
        if any("\x00" in str(key) for key in value):
            return f"{path}: a name"
        return next((found for key, one in value.items() if (found := _place(one, f"{path}.{key}"))), "")
    if isinstance(value, list):
        return next((found for n, one in enumerate(value) if (found := _place(one, f"{path}[{n}]"))), "")
    return ""
