"""JSON of strangers: read, and refused where it is nested deeper than anything has a use for.

The parser takes a thousand levels. What walks through a value afterwards, or writes it again, takes fewer. Of clients,
what no database stores is a mistake to be told; of providers, who would never hear of it, it is replaced.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable
from typing import Any

import orjson

DEEPEST = 100
# How a null character and half of a pair of surrogates may be written, which some parsers take and no database stores.
_ODD = re.compile(rb"\\u(?:0000|[dD][89a-fA-F])")
_HALVES = re.compile("[\ud800-\udfff]")


def read_json(content: bytes | str) -> Any:
    """The value. Raises orjson.JSONDecodeError, a ValueError, for what is no JSON or nested beyond DEEPEST levels."""
    value = orjson.loads(content)
    if is_too_deep(value, content):
        raise orjson.JSONDecodeError(f"nested deeper than {DEEPEST} levels", "", 0)
    return value


def read_told(content: bytes, *, any_number: bool = False) -> Any:
    """As `read_json`, of somebody whom nobody can tell of a mistake: what could not be stored is left out or replaced.

    Null characters are left out; half characters and bytes that are no UTF-8 become U+FFFD. `any_number`: NaN and
    numbers beyond all bounds become null. Raises orjson.JSONDecodeError, RecursionError.
    """
    try:
        value = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        try:
            value = (_ANY_NUMBER if any_number else _DECODER).decode(content.decode("utf-8", "replace"))
        except ValueError:
            raise error from None
    if is_too_deep(value, content):
        raise orjson.JSONDecodeError(f"nested deeper than {DEEPEST} levels", "", 0)
    return storable(value, content)


def storable(value: Any, content: bytes) -> Any:
    """A value without what no database stores; the same where `content`, which it was read from, has none of that."""
    return _storable(value) if _ODD.search(content) else value


def _storable(value: Any) -> Any:
    if isinstance(value, str):
        return _HALVES.sub("\ufffd", value.replace("\x00", ""))
    if isinstance(value, list):
        return [_storable(item) for item in value]
    if isinstance(value, dict):
        return {_storable(key): _storable(item) for key, item in value.items()}
    return value


def _number(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("a number beyond all bounds")
    return number


def _number_or_none(text: str) -> float | None:
    number = float(text)
    return number if math.isfinite(number) else None


_DECODER = json.JSONDecoder(
    parse_float=_number, parse_int=lambda text: int(text) if len(text) < 19 else _number(text), parse_constant=_number
)
_ANY_NUMBER = json.JSONDecoder(
    parse_float=_number_or_none,
    parse_int=lambda text: int(text) if len(text) < 19 else _number_or_none(text),
    parse_constant=lambda _: None,
)


def is_too_deep(value: Any, content: bytes | str | None = None) -> bool:
    """Whether a value is nested beyond DEEPEST levels; `content` is what it was read from, where that is known."""
    if content is not None:
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
