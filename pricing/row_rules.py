"""The rule that the provider's flat row amounts to: its unit price for each unit that the request takes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pricing.megapixels import makes_video
from pricing.money import format_decimal
from pricing.requests import Field, Request
from pricing.rule_check import Rule
from pricing.units import UnitMeaning, normalise_unit, unit_meaning


def row_rule(unit: str, fields: Mapping[str, Field]) -> Rule | None:
    """A rule that charges the row's unit price per unit; None where no request can tell the number of units."""
    meaning = unit_meaning(unit)
    if meaning is None or meaning.quantity is None:
        return None
    return {"version": 1, "charges": [_charge(meaning, fields)]}


def _charge(meaning: UnitMeaning, fields: Mapping[str, Field]) -> dict[str, Any]:
    of = meaning.quantity
    if of == "megapixels" and makes_video(Request(fields, {})):
        of = "video_megapixels"
    per: dict[str, Any] = {"of": of}
    if meaning.rounds_up:
        per |= {"round": "up", "to": format_decimal(meaning.block)}
    if meaning.block != 1:
        per["divide_by"] = format_decimal(meaning.block)
    charge: dict[str, Any] = {"name": normalise_unit(meaning.unit), "price": "unit_price", "per": per}
    if meaning.times_outputs and of != "video_megapixels":
        charge["times"] = [{"of": "outputs"}]
    return charge
