"""JSON of strangers: read, and refused where it is nested deeper than anything has a use for.

The parser takes a thousand levels. What walks through a value afterwards, or writes it again, takes fewer.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import orjson

DEEPEST = 100


def read_json(content: bytes | str) -> Any:
    """The value. Raises orjson.JSONDecodeError, a ValueError, for what is no JSON or nested beyond DEEPEST levels."""
    value = orjson.loads(content)
    if is_too_deep(value, content):
        raise orjson.JSONDecodeError(f"nested deeper than {DEEPEST} levels", "", 0)
    return value


def is_too_deep(value: Any, content: bytes | str) -> bool:
    """Whether a value is nested beyond DEEPEST levels; `content` is what it was read from."""
    marks: tuple[Any, Any] = (b"[", b"{") if isinstance(content, bytes) else ("[", "{")
    # Counting takes next to nothing, and few bodies have so many of them.
    if sum(content.count(mark) for mark in marks) <= DEEPEST:
        return False
    level = [value]
    for _ in range(DEEPEST):
        level = [inner for outer in level for inner in _inside(outer)]
        if not level:
            return False
    return any(isinstance(one, dict | list) for one in level)


def _inside(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return [one for one in value.values() if isinstance(one, dict | list)]
    return [one for one in value if isinstance(one, dict | list)]
