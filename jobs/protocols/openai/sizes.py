"""A size in pixels as the fields of a model can say it: exactly where they can, else as shape and resolution."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from pricing.counting.image_sizes import PRESETS, RESOLUTION_FIELDS, SIZE_FIELDS, lines_and_pixels

Field = dict[str, Any]

_PAIR = re.compile(r"\s*(\d{2,5})\s*[x×*]\s*(\d{2,5})\s*", re.I)
_RATIO = re.compile(r"\s*(\d{1,2}(?:\.\d{1,2})?)\s*:\s*(\d{1,2})\s*")
_KILO = re.compile(r"\s*(\d(?:\.\d)?)\s*k\s*", re.I)
# How far off, as a factor, a shape, a number of lines and a word of resolution may be: 1792x1024 is called 16:9, and
# 1536x1024 is a size of 1K.
_SHAPE, _LINES, _WORD = 1.02, 1.06, math.sqrt(2)


class CannotSizeError(ValueError):
    """No fields of the model can say the size; the message tells which it could."""


def read_size(text: str) -> tuple[int, int] | None:
    """Width and height of "1024x1024", None for what is no size."""
    match = _PAIR.fullmatch(text)
    return (int(match[1]), int(match[2])) if match else None


def size_input(fields: Mapping[str, Field], width: int, height: int) -> dict[str, Any]:
    """The input that asks for a size. Raises CannotSizeError."""
    for name in SIZE_FIELDS:
        if name in fields:
            return {name: _exact(fields[name], width, height)}
    if "width" in fields and "height" in fields:
        return {"width": width, "height": height}
    for name in RESOLUTION_FIELDS:
        # Pairs as words of a resolution say it all.
        if any(read_size(str(word)) for word in _choices(fields.get(name, {}))):
            return {name: _exact(fields[name], width, height)}
    shape = _shape(fields, width, height)
    resolution = _resolution(fields, width, height)
    if not shape and not (resolution and _follows_an_image(fields)):
        raise CannotSizeError("the model has no field for a size")
    return shape | resolution


def _exact(field: Field, width: int, height: int) -> Any:
    choices = _choices(field)
    for choice in choices:
        if PRESETS.get(str(choice)) == (width, height) or read_size(str(choice)) == (width, height):
            return choice
    if not {"width", "height"} - {inner["name"] for inner in field.get("fields", ())}:
        return {"width": width, "height": height}
    if field["type"] == "string" and not choices and read_size(str(field.get("default", ""))):
        return f"{width}x{height}"
    raise CannotSizeError(_possible(field["name"], choices))


def _shape(fields: Mapping[str, Field], width: int, height: int) -> dict[str, Any]:
    field = fields.get("aspect_ratio")
    if field is None or field["type"] not in ("string", "any"):
        return {}
    choices = _choices(field)
    if not choices:
        factor = math.gcd(width, height)
        return {"aspect_ratio": f"{width // factor}:{height // factor}"}
    found = _nearest({choice: _ratio(choice) for choice in choices}, width / height, _SHAPE)
    if found is None:
        raise CannotSizeError(_possible("aspect_ratio", choices))
    return {"aspect_ratio": found}


def _resolution(fields: Mapping[str, Field], width: int, height: int) -> dict[str, Any]:
    for name in RESOLUTION_FIELDS:
        choices = _choices(fields.get(name, {}))
        lines = {choice: float(found[0]) for choice in choices if (found := lines_and_pixels(choice))}
        sides = {choice: float(kilo[1]) * 1024 for choice in choices if (kilo := _KILO.fullmatch(str(choice)))}
        # "4k" is both: beside numbers of lines it is one of them.
        if lines and len(lines) > len(sides):
            found = _nearest(lines, min(width, height), _LINES)
        elif sides:
            found = _nearest(sides, math.sqrt(width * height), _WORD)
        else:
            continue
        if found is None:
            raise CannotSizeError(_possible(name, choices))
        return {name: found}
    return {}


def _nearest(known: Mapping[Any, float | None], wanted: float, within: float) -> Any:
    """The choice whose value is the nearest, by factors; None where none is near enough."""
    off = {choice: abs(math.log(value / wanted)) for choice, value in known.items() if value}
    best = min(off, key=lambda choice: off[choice], default=None)
    return best if best is not None and off[best] <= math.log(within) + 1e-9 else None


def _ratio(choice: Any) -> float | None:
    match = _RATIO.fullmatch(str(choice))
    return float(match[1]) / float(match[2]) if match and float(match[2]) else None


def _choices(field: Field) -> list[Any]:
    return [*field.get("enum", ()), *field.get("presets", ())]


def _follows_an_image(fields: Mapping[str, Field]) -> bool:
    """Whether the shape is that of an image which is brought."""
    return any(field.get("media") == "image" for field in fields.values())


def _possible(name: str, choices: list[Any]) -> str:
    words = []
    for choice in choices:
        size = PRESETS.get(str(choice))
        words.append(f"{choice} ({size[0]}x{size[1]})" if size else str(choice))
    return f"its {name} can be {', '.join(words)}" if words else f"its {name} takes no size"
