"""Choices of a model that its flat price row is silent about, though elsewhere such choices change the price.

A row is the price of one of the choices, most often of the default. Of the provider's price texts that speak of
resolution, none has the default's price in the row where that is 1080 lines or more and smaller ones are offered, and
none that speaks of rendering speeds has it: the row is a cheaper one's price then.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from pricing.counting.image_sizes import lines_and_pixels
from pricing.counting.requests import Field, Request, is_given
from pricing.rules.check import Rule
from pricing.rules.conditions import is_open, same
from pricing.rules.interpreter import UNIT_PRICE

# Names of fields that carry tiers in the provider's texts. Qualities of encoding (`video_quality`) never do.
_SIZES = re.compile(r"resolution")
_SPEED = "rendering_speed"
_TIERS = re.compile(r"resolution|^(?:quality|rendering_speed)$|(?:^|_)tier$")
_LARGE = 1080
# Quantities that have the size of the output in them.
_SIZED = frozenset(("megapixels", "video_megapixels", "processed_megapixels", "video_tokens", "lines"))
_SOUND = re.compile(r"^(?:generate|enable)_audio")
# Words for a price in the description of a field that nothing has read.
_PRICED = re.compile(r"\b\d+ (?:additional )?credits?\b|\bcosts? more\b", re.I)


def unsaid_choices(fields: Mapping[str, Field], rule: Rule) -> list[str]:
    """Fields whose value may well change the price (resolution, quality and speed, sound, or by their own words), and
    that neither the rule's conditions nor its quantities take into account."""
    said = spoken_of(rule)
    counted = any(of in _SIZED for of in _quantities(rule))
    return [
        name
        for name, item in fields.items()
        if name not in said and _may_cost(name, item) and not (counted and _SIZES.search(name))
    ]


def _may_cost(name: str, item: Field) -> bool:
    if item.get("type") == "boolean":
        return bool(_SOUND.search(name) or _PRICED.search(str(item.get("description", ""))))
    return len(item.get("enum", [])) > 1 and bool(_TIERS.search(name))


def is_moved(request: Request, name: str) -> bool:
    """Whether a request sets a field to another value than its default. "auto" leaves the choice to the model."""
    if name not in request.given:
        return False
    value, default = request.given[name], request.fields[name].get("default")
    if default is None:
        return is_given(value) and not is_open(value)
    return not same(value, default)


def is_doubtful(request: Request, name: str) -> bool:
    """Whether the row can't be taken for this request's price: a choice was moved, or its default is a dear one."""
    return is_moved(request, name) or _has_dear_default(request.fields[name])


def _has_dear_default(item: Field) -> bool:
    if item["name"] == _SPEED:
        return True
    lines = {value: found[0] for value in item.get("enum", []) if (found := lines_and_pixels(value))}
    default = lines.get(item.get("default"), 0)
    return bool(_SIZES.search(item["name"])) and default >= _LARGE and default > min(lines.values())


def rests_on_row(rule: Rule) -> bool:
    """Whether a rule only changes what the row says: a charge takes the row's unit price."""
    return any(UNIT_PRICE in _prices(charge["price"]) for charge in rule["charges"])


def _prices(price: Any) -> list[str]:
    return [price] if isinstance(price, str) else [tier["price"] for tier in price]


def _quantities(part: object) -> Iterator[str]:
    if isinstance(part, dict):
        if "of" in part:
            yield part["of"]
        for inner in part.values():
            yield from _quantities(inner)
    if isinstance(part, list):
        for inner in part:
            yield from _quantities(inner)


def spoken_of(part: object) -> set[str]:
    """The names of all fields that a rule tests or counts."""
    if isinstance(part, dict):
        own = {part["field"]} if isinstance(part.get("field"), str) else set(part.get("fields", []))
        return own.union(*(spoken_of(inner) for inner in part.values()))
    if isinstance(part, list):
        return set().union(*(spoken_of(inner) for inner in part))
    return set()
