"""The rule that the provider's flat row amounts to: its unit price for each unit that the request takes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pricing.counting.durations import duration_field, has_frames
from pricing.counting.megapixels import makes_video
from pricing.counting.requests import Field, Request, media_fields
from pricing.counting.units import UnitMeaning, normalise_unit, unit_meaning
from pricing.money import format_decimal
from pricing.rules.check import Rule


def row_rule(unit: str, fields: Mapping[str, Field]) -> Rule | None:
    """A rule that charges the row's unit price per unit; None where no request can tell the number of units."""
    meaning = unit_meaning(unit)
    if meaning is None or meaning.quantity is None:
        return None
    return {"version": 1, "charges": [_charge(meaning, fields)]}


def _tells_length(request: Request) -> bool:
    takes_media = any(any(media_fields(request.fields.values(), kind)) for kind in ("audio", "video"))
    return takes_media or has_frames(request) or duration_field(request) is not None


def _charge(meaning: UnitMeaning, fields: Mapping[str, Field]) -> dict[str, Any]:
    of = meaning.quantity
    if of == "megapixels" and makes_video(Request(fields, {})):
        of = "video_megapixels"
    if of == "seconds" and meaning.rounds_up and fields and not _tells_length(Request(fields, {})):
        # A model priced per N seconds that lets nobody choose a length makes one such block.
        return {"name": normalise_unit(meaning.unit), "price": "unit_price", "per": {"of": "outputs"}}
    per: dict[str, Any] = {"of": of}
    if meaning.rounds_up:
        per |= {"round": "up", "to": format_decimal(meaning.block)}
    if meaning.block != 1:
        per["divide_by"] = format_decimal(meaning.block)
    charge: dict[str, Any] = {"name": normalise_unit(meaning.unit), "price": "unit_price", "per": per}
    if meaning.times_outputs and of != "video_megapixels":
        charge["times"] = [{"of": "outputs"}]
    return charge
