"""Bodies and parameters of the wrong shape, in words: which one, what is wrong with it, and what to send instead."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from genfeed.clients.errors import ApiError

# Of a name that somebody made up: an answer is no echo of what was sent.
_LONGEST = 100
_MANY = "Correct the parameters named in details."
_OBJECT = ("is no JSON object", "send an object: {…}")
_NUMBER = ("is no number", "send a number")
_WHOLE = ("is no whole number", "send a whole number")

# By the type of pydantic's error: what is wrong, and what to do.
_WORDS: dict[str, tuple[str, str]] = {
    "missing": ("is missing", "send it"),
    "extra_forbidden": ("there is no such parameter", "leave it out; /api/v1/docs lists those that there are"),
    "string_type": ("is no text", "send a text, in quotes"),
    "list_type": ("is no list", "send a list: […]"),
    "dict_type": _OBJECT,
    "model_type": _OBJECT,
    "model_attributes_type": _OBJECT,
    "int_type": _WHOLE,
    "int_parsing": _WHOLE,
    "int_from_float": _WHOLE,
    "float_type": _NUMBER,
    "float_parsing": _NUMBER,
    "finite_number": ("is no finite number", "send a number"),
    "text_or_number": ("is neither a text nor a number", "send a number, or its text"),
    "short_value": ("is no text, number, true, false or null", "send one of these"),
    "bool_type": ("is neither true nor false", "send true or false"),
    "bool_parsing": ("is neither true nor false", "send true or false"),
    "no_moment": ("lies beyond the calendar", "send a moment of the years 1 to 9999"),
}
# The same for those that name a bound.
_BOUNDS: dict[str, Callable[[Mapping[str, Any]], tuple[str, str]]] = {
    "too_long": lambda said: (
        # Of an object it is not told how many there are.
        f"has {said['actual_length']} entries, and {said['max_length']} is the most"
        if said.get("actual_length")
        else f"has more than {said['max_length']} entries",
        f"send at most {said['max_length']} at once, the others in another request",
    ),
    "too_short": lambda said: (
        f"has {said['actual_length']} entries, and {said['min_length']} is the least",
        f"send at least {said['min_length']}",
    ),
    "string_too_long": lambda said: (
        f"has more than {said['max_length']} characters", f"send at most {said['max_length']}",
    ),
    "string_too_short": lambda said: (
        f"has fewer than {said['min_length']} characters", f"send at least {said['min_length']}",
    ),
    "string_pattern_mismatch": lambda said: (
        f"does not match {said['pattern']}", "send a text that does",
    ),
    "greater_than_equal": lambda said: (f"is less than {said['ge']}", f"send {said['ge']} or more"),
    "greater_than": lambda said: (f"is not more than {said['gt']}", f"send more than {said['gt']}"),
    "less_than_equal": lambda said: (f"is more than {said['le']}", f"send {said['le']} or less"),
    "less_than": lambda said: (f"is not less than {said['lt']}", f"send less than {said['lt']}"),
    "literal_error": lambda said: ("is none of the known words", f"send {said['expected']}"),
}  # fmt: skip


def shape_error(errors: Iterable[Mapping[str, Any]]) -> ApiError:
    """The `invalid_request` for pydantic's errors, each named with its place; no place: the whole of what was sent."""
    found = [(".".join(str(part)[:_LONGEST] for part in item.get("loc", ())), *_said(item)) for item in errors]
    if not found:
        return ApiError("invalid_request", "The request is not valid.", "See /api/v1/docs for its shape.")
    path, words, todo = found[0]
    message = f"{path}: {words}" if path else f"What was sent {words}"
    return ApiError(
        "invalid_request",
        f"{message}.",
        _sentence(todo) if len(found) == 1 and todo else _MANY,
        details={"problems": [{"path": path, "message": words} for path, words, _ in found]},
    )


def _said(item: Mapping[str, Any]) -> tuple[str, str]:
    kind = str(item.get("type", ""))
    if kind in _BOUNDS:
        return _BOUNDS[kind](item.get("ctx", {}))
    return _WORDS.get(kind, (str(item.get("msg", "not valid")).removesuffix("."), ""))


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."
