"""From a draft to a rule: tiers become charges with prices by condition, and what changes them is put beside."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from pricing.counting.durations import duration_field, frames_field
from pricing.counting.megapixels import makes_video
from pricing.counting.requests import Field, Request, as_number
from pricing.money import format_decimal
from pricing.notes.draft import Draft, Per, Tier
from pricing.notes.wording import (
    Condition,
    audio_field,
    duration_condition,
    resolution_condition,
    resolution_field,
    unused,
    used,
)
from pricing.rules.check import Rule

_FLAT = Per(None, True, name="request")
_Row = dict[str, Any]


def build_rule(draft: Draft, fields: Mapping[str, Field], row_price: Decimal | None = None) -> Rule | None:
    """The rule that a draft makes, or None when it holds no price. Notes what does not map as problems and remarks."""
    base = _base_seconds(draft)
    charges = _tier_charges(draft, fields, row_price) + _plain_charges(draft, fields)
    if draft.further_second is not None:
        if base is None:
            draft.problems.append("a price for further seconds without the number of first ones")
        else:
            per = _counted({"of": "seconds"}, draft, fields)
            charges.append(
                {"name": "further seconds", "price": format_decimal(draft.further_second), "per": {**per, "over": base}}
            )
    if not charges:
        return None
    rule: Rule = {"version": 1, "charges": charges}
    if draft.least_charge is not None:
        rule["minimum"] = draft.least_charge
    _drop_counted_lengths(draft, charges)
    if draft.multipliers:
        rule["multipliers"] = draft.multipliers
    return rule


def _base_seconds(draft: Draft) -> str | None:
    lengths = {length for tier in draft.tiers for length in tier.durations}
    if draft.further_second is None or len(lengths) != 1:
        return None
    for tier in draft.tiers:
        tier.durations = []
    return format_decimal(lengths.pop())


def _drop_counted_lengths(draft: Draft, charges: list[_Row]) -> None:
    """ "9s costs 2x" on a price per begun 5 seconds, which makes it two already, is no multiplier."""
    counted = any(charge.get("per", {}).get("of") == "seconds" for charge in charges)
    if not counted or not draft.length_factors:
        return
    draft.remarks.append("lengths are counted in seconds, so their factors are in the count already")
    draft.multipliers = [item for item in draft.multipliers if item["name"] not in draft.length_factors]


def _plain_charges(draft: Draft, fields: Mapping[str, Field]) -> list[_Row]:
    charges = []
    for charge in draft.charges:
        made = {key: value for key, value in charge.items() if key != "instead"}
        if "per" in made:
            made["per"] = _counted(made["per"], draft, fields)
        charges.append(made)
    return charges


def _tier_charges(draft: Draft, fields: Mapping[str, Field], row: Decimal | None) -> list[_Row]:
    _drop_common(draft, fields)
    groups: dict[str, tuple[Per, list[_Row]]] = {}
    for tier in draft.tiers:
        conditions = _conditions(tier, draft, fields, row)
        if conditions is None:
            continue
        per = tier.per or _FLAT
        key = "flat" if _is_flat(per) else json.dumps([per.quantity, per.times_outputs, *per.also], sort_keys=True)
        known, rows = groups.setdefault(key, (per, []))
        if known is _FLAT and tier.per is not None:
            groups[key] = (per, rows)
        made: _Row = {"price": format_decimal(tier.amount) if tier.amount is not None else "unit_price"}
        rows.append({"when": conditions, **made} if conditions else made)
    _fill_gaps(groups)
    instead = [charge["when"] for charge in draft.charges if charge.get("instead")]
    return [_charge(per, rows, instead, draft, fields) for per, rows in groups.values()]


def _is_flat(per: Per) -> bool:
    return per.quantity is None or per.quantity["of"] in ("requests", "outputs")


def _drop_common(draft: Draft, fields: Mapping[str, Field]) -> None:
    """What is said of all tiers alike ("for a 5s video without audio") is where changes start from, not a condition."""
    changed = draft.conditions()
    subjects = {str(condition.get("field")) for condition in changed}
    lengths_change = (
        any((condition.get("quantity") or {}).get("of") == "seconds" for condition in changed)
        or duration_field(Request(fields, {})) in subjects
    )
    if lengths_change and len({tuple(tier.durations) for tier in draft.tiers}) == 1:
        for tier in draft.tiers:
            tier.durations = []
    if audio_field(fields) in subjects and len({tier.audio for tier in draft.tiers}) == 1:
        for tier in draft.tiers:
            tier.audio = None


def _conditions(tier: Tier, draft: Draft, fields: Mapping[str, Field], row: Decimal | None) -> list[Condition] | None:
    """The tier's conditions on the model's fields; None when the model has no such choice, so the tier never counts."""
    conditions = list(tier.conditions)
    if tier.resolutions:
        several = len({tuple(other.resolutions) for other in draft.tiers}) > 1
        condition, lost = resolution_condition(tier.resolutions, fields)
        if lost:
            draft.remarks.append(f"the model offers no {', '.join(lost)}")
        if condition:
            conditions.append(condition)
        elif resolution_field(fields) or _offered(draft, fields):
            return None
        elif not several:
            draft.remarks.append(f"the model offers no resolution, its one price is for {', '.join(tier.resolutions)}")
        elif row is not None and tier.amount == row:
            draft.remarks.append(
                f"no field carries the resolution; the row's price is that of {', '.join(tier.resolutions)}"
            )
        elif row is not None and any(other.amount == row for other in draft.tiers):
            return None
        else:
            draft.problems.append(f"no field carries the resolution {', '.join(tier.resolutions)}")
    if tier.durations:
        length = duration_condition(tier.durations, fields)
        if length:
            conditions.append(length)
        elif len({tuple(other.durations) for other in draft.tiers}) > 1:
            draft.problems.append("no field carries the length of the output")
        else:
            conditions += _no_longer_than_default(draft, fields)
    if tier.audio is not None:
        name = audio_field(fields)
        if name:
            conditions.append(used(fields[name]) if tier.audio else unused(fields[name]))
        elif len({other.audio for other in draft.tiers}) > 1:
            draft.problems.append("no field says whether there is audio")
    return conditions


def _no_longer_than_default(draft: Draft, fields: Mapping[str, Field]) -> list[Condition]:
    """The price of a video of one length says nothing of a longer one, where frames decide how long it is."""
    name = frames_field(Request(fields, {}))
    default = as_number(fields[name].get("default")) if name else None
    if name is None or default is None or draft.further_second is not None:
        return []
    return [{"field": name, "at_most": format_decimal(default)}]


def _offered(draft: Draft, fields: Mapping[str, Field]) -> bool:
    return any(resolution_condition(tier.resolutions, fields)[0] for tier in draft.tiers if tier.resolutions)


def _fill_gaps(groups: dict[str, tuple[Per, list[_Row]]]) -> None:
    """Where amounts of two kinds stand side by side, a case that one of them names costs nothing of the other."""
    if len(groups) < 2:
        return
    cases = [row["when"] for _per, rows in groups.values() for row in rows if "when" in row]
    for _per, rows in groups.values():
        own = [row.get("when") for row in rows]
        if None in own:
            continue
        rows += [{"when": case, "price": "0"} for case in _unique(cases) if case not in own]


def _unique(cases: list[list[Condition]]) -> list[list[Condition]]:
    return [case for place, case in enumerate(cases) if case not in cases[:place]]


def _charge(
    per: Per, rows: list[_Row], instead: list[list[Condition]], draft: Draft, fields: Mapping[str, Field]
) -> _Row:
    _refuse_double_prices(rows, draft)
    ordered = sorted(rows, key=lambda row: -len(row.get("when", [])))
    ordered = [{"when": case, "price": "0"} for case in instead] + ordered
    single = len(ordered) == 1 and "when" not in ordered[0]
    charge: _Row = {"name": per.name or "request", "price": ordered[0]["price"] if single else ordered}
    if _is_flat(per):
        charge["per"] = {"of": per.quantity["of"] if per.quantity else "outputs"}
        return charge
    charge["per"] = _counted(per.quantity or {}, draft, fields)
    if draft.fixed_seconds is not None and charge["per"]["of"] == "seconds":
        charge["per"] = {"of": "outputs"}
        charge["name"] = f"video of {format_decimal(draft.fixed_seconds)} s"
        charge["price"] = _times_seconds(charge["price"], draft.fixed_seconds)
        return charge
    times = [*per.also]
    if per.times_outputs and charge["per"]["of"] != "video_megapixels":
        times.append({"of": "outputs"})
    if times:
        charge["times"] = times
    return charge


def _refuse_double_prices(rows: list[_Row], draft: Draft) -> None:
    """Two prices for one case, or a price of 0, mean that the text was not understood."""
    prices: dict[str, set[str]] = {}
    for row in rows:
        prices.setdefault(json.dumps(row.get("when"), sort_keys=True), set()).add(row["price"])
    if any(len(found) > 1 for found in prices.values()):
        draft.problems.append("the text has two prices for the same case")
    if all(row["price"] == "0" for row in rows):
        draft.problems.append("a price of 0 is unknown until a person confirms it")


def _times_seconds(price: Any, seconds: Decimal) -> Any:
    if isinstance(price, str):
        return format_decimal(Decimal(price) * seconds)
    return [{**row, "price": format_decimal(Decimal(row["price"]) * seconds)} for row in price]


def _counted(quantity: dict[str, Any], draft: Draft, fields: Mapping[str, Field]) -> dict[str, Any]:
    """A quantity as the text says that it is counted: frame rate, source, rounding, minimum."""
    made = dict(quantity)
    if made["of"] == "characters" and "field" in made:
        made = _text_named(made, draft, fields)
    if made["of"] == "seconds" and draft.seconds_of:
        made["of"] = draft.seconds_of
    if made["of"] == "seconds" and draft.fps:
        made["fps"] = draft.fps
    if made["of"].endswith("seconds"):
        made |= draft.rounding or {}
        made |= {"minimum": draft.minimums["seconds"]} if "seconds" in draft.minimums else {}
    if made["of"] == "steps" and "steps" in draft.minimums:
        made["minimum"] = draft.minimums["steps"]
    if made["of"] == "megapixels" and "binary" not in made and makes_video(Request(fields, {})):
        made["of"] = "video_megapixels"
    if made["of"].endswith("video_megapixels") and draft.rounding:
        made["round"] = draft.rounding["round"]
    if made["of"] == "megapixels" and draft.rounds_megapixels:
        made |= {"binary": True, "round": "up"}
    return made


def _text_named(quantity: dict[str, Any], draft: Draft, fields: Mapping[str, Field]) -> dict[str, Any]:
    """ "per 1000 preview characters": those of the model's preview text, not of the text that steers it."""
    word = quantity.pop("field")
    name = next((name for name in fields if re.fullmatch(rf"{word}_?(?:text|script|prompt)?", name)), None)
    if name is None:
        draft.problems.append(f"no field carries the {word} text")
        return quantity
    return {**quantity, "of": "text_length", "field": name}
