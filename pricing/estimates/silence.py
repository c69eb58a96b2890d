"""Choices of a model that its flat price row is silent about, though elsewhere such choices change the price."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from pricing.counting.requests import Field, Request, is_given
from pricing.rules.check import Rule
from pricing.rules.conditions import is_open, same
from pricing.rules.interpreter import UNIT_PRICE

# Names of fields that carry tiers in the provider's texts. Qualities of encoding (`video_quality`) never do.
_TIERS = re.compile(r"resolution|^(?:quality|rendering_speed)$|(?:^|_)tier$")
_SOUND = re.compile(r"^(?:generate|enable)_audio")
# Words for a price in the description of a field that nothing has read.
_PRICED = re.compile(r"\b\d+ (?:additional )?credits?\b|\bcosts? more\b", re.I)


def dearer_choices(fields: Mapping[str, Field]) -> list[str]:
    """Fields whose value may well change the price: resolution, quality and speed, sound, or by their own words."""
    return [name for name, item in fields.items() if _may_cost(name, item)]


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


def rests_on_row(rule: Rule) -> bool:
    """Whether a rule only changes what the row says: a charge takes the row's unit price."""
    return any(UNIT_PRICE in _prices(charge["price"]) for charge in rule["charges"])


def _prices(price: Any) -> list[str]:
    return [price] if isinstance(price, str) else [tier["price"] for tier in price]


def spoken_of(part: object) -> set[str]:
    """The names of all fields that a rule tests or counts."""
    if isinstance(part, dict):
        own = {part["field"]} if isinstance(part.get("field"), str) else set(part.get("fields", []))
        return own.union(*(spoken_of(inner) for inner in part.values()))
    if isinstance(part, list):
        return set().union(*(spoken_of(inner) for inner in part))
    return set()
