"""Price sentences whose shape no list of tiers has: brackets, further seconds, first megapixel, tokens, formulas."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from pricing.counting.counts import STEP_FIELDS
from pricing.counting.durations import duration_field, has_frames
from pricing.counting.requests import Field, Request, media_fields
from pricing.money import format_decimal
from pricing.notes.counting import Reader
from pricing.notes.draft import Draft, Per, Tier
from pricing.notes.wording import (
    Condition,
    audio_field,
    choices,
    duration_condition,
    resolution_condition,
    unused,
    used,
)

_TOKENS_PER_MILLION = {"of": "video_tokens", "divide_by": "1000000"}
_SECONDS = {"of": "seconds"}


def _further_seconds(match: re.Match[str], draft: Draft, _fields: Mapping[str, Field]) -> bool:
    draft.further_second = Decimal(match["price"])
    return True


def _first_seconds(match: re.Match[str], draft: Draft, _fields: Mapping[str, Field]) -> bool:
    draft.tiers.append(Tier(Decimal(match["first"]), durations=[Decimal(match["n"])]))
    draft.further_second = Decimal(match["price"])
    return True


def _bracket(match: re.Match[str], draft: Draft, _fields: Mapping[str, Field]) -> bool:
    draft.charges.append(
        {
            "name": f"up to {match['n']} s",
            "price": match["price"],
            "when": [{"quantity": dict(_SECONDS), "at_most": match["n"]}],
        }
    )
    draft.base_seconds = match["n"]
    draft.has_base = True
    return True


def _beyond_bracket(match: re.Match[str], draft: Draft, _fields: Mapping[str, Field]) -> bool:
    if draft.base_seconds is None:
        return False
    draft.charges.append(
        {
            "name": "seconds",
            "price": match["price"],
            "per": dict(_SECONDS),
            "when": [{"quantity": dict(_SECONDS), "above": draft.base_seconds}],
        }
    )
    return True


def _first_megapixel(match: re.Match[str], draft: Draft, _fields: Mapping[str, Field]) -> bool:
    draft.charges.append({"name": "first megapixel", "price": match["price"]})
    draft.has_base = True
    return True


def _further_megapixels(match: re.Match[str], draft: Draft, _fields: Mapping[str, Field]) -> bool:
    quantity = {"of": "processed_megapixels", "over": "1"}
    draft.charges.append({"name": "further megapixels", "price": match["price"], "per": quantity})
    return True


def _inputs_at_one_megapixel(_match: re.Match[str], draft: Draft, _fields: Mapping[str, Field]) -> bool:
    """Every input image counts one megapixel then; the output counts by its size, 1024 × 1024 being one."""
    tier = draft.tiers.pop() if draft.tiers else None
    if tier is None or tier.per is None or (tier.per.quantity or {}).get("of") != "processed_megapixels":
        return False
    price = format_decimal(tier.amount or Decimal(0))
    draft.has_base = True
    output = {"of": "megapixels", "binary": True, "named": True}
    draft.charges.append({"name": "megapixels out", "price": price, "per": output, "times": [{"of": "outputs"}]})
    draft.charges.append({"name": "input images at 1 megapixel each", "price": price, "per": {"of": "input_images"}})
    return True


def _million_tokens(match: re.Match[str], draft: Draft, fields: Mapping[str, Field]) -> bool:
    audio = audio_field(fields)
    when = [used(fields[audio])] if match["audio"] and audio else []
    if match["audio"] and not audio:
        return False
    draft.tiers.append(Tier(Decimal(match["price"]), Per(dict(_TOKENS_PER_MILLION), name="1m tokens"), conditions=when))
    return True


def _million_silent(match: re.Match[str], draft: Draft, fields: Mapping[str, Field]) -> bool:
    audio = audio_field(fields)
    if not audio:
        return False
    per = Per(dict(_TOKENS_PER_MILLION), name="1m tokens")
    draft.tiers.append(Tier(Decimal(match["price"]), per, conditions=[unused(fields[audio])]))
    return True


def _one_video(match: re.Match[str], draft: Draft, fields: Mapping[str, Field]) -> bool:
    """A price for one resolution and length beside a price for tokens: it counts where it is not called rough."""
    if match["rough"]:
        draft.remarks.append(f"rough price of one video left aside: {match[0]}")
        return True
    conditions = [
        condition
        for condition in (
            resolution_condition([match["resolution"]], fields)[0],
            duration_condition([Decimal(match["n"])], fields),
        )
        if condition
    ]
    if len(conditions) < 2:
        return False
    draft.remarks.append("one video's price goes before the price of its tokens")
    draft.charges.append({"name": "one video", "price": match["price"], "when": conditions, "instead": True})
    return True


def _formula(match: re.Match[str], draft: Draft, _fields: Mapping[str, Field]) -> bool:
    charge: dict[str, Any] = {"name": "steps", "price": match["price"], "per": {"of": "steps"}}
    factors = {"reference_multiplier": "reference_images", "num_of_layers": "layers"}
    if match["factor"]:
        charge["times"] = [{"of": factors[match["factor"]]}]
    draft.charges.append(charge)
    draft.has_base = True
    return True


def _reference_multiplier(match: re.Match[str], draft: Draft, _fields: Mapping[str, Field]) -> bool:
    numbers = re.findall(r"\d+", match["counts"])
    values = re.findall(r"\d+(?:\.\d+)?", match["values"])
    if len(numbers) != len(values):
        return False
    for charge in draft.charges:
        for quantity in charge.get("times", []):
            if quantity["of"] == "reference_images":
                quantity["table"] = dict(zip(numbers, values, strict=True))
                return True
    return False


def _opaque(_match: re.Match[str], draft: Draft, _fields: Mapping[str, Field]) -> bool:
    draft.opaque = True
    draft.billed_in = "output tokens"
    return True


def _image_tokens(_match: re.Match[str], draft: Draft, _fields: Mapping[str, Field]) -> bool:
    draft.remarks.append("tokens of input images are billed too, but the text does not say how many there are")
    return True


def _upper_end(match: re.Match[str], draft: Draft, _fields: Mapping[str, Field]) -> bool:
    draft.remarks.append(f"only an upper end, not a price: {match[0].strip(' ,')}")
    return True


def _single_video(match: re.Match[str], draft: Draft, fields: Mapping[str, Field]) -> bool:
    """ "A single 6s video will cost …": the length of the output where the model offers no other."""
    draft.examples.append(match[0].replace("/video", ""))
    request = Request(fields, {})
    if duration_field(request) is None and not has_frames(request) and not any(media_fields(fields.values(), "video")):
        draft.fixed_seconds = Decimal(match["n"])
    return True


def _linear_run(match: re.Match[str], draft: Draft, fields: Mapping[str, Field]) -> bool:
    """A price per run that scales with steps; how many it stands for, the row or the schema's default says."""
    name = next((name for name in STEP_FIELDS if name in fields), None)
    if name is None:
        return False
    draft.linear_run = Decimal(match["price"])
    draft.has_base = True
    return True


def _absent_choice(match: re.Match[str], draft: Draft, fields: Mapping[str, Field]) -> bool:
    """ "Generation types: A costs …, B costs …": left aside where the model offers no such choice."""
    words = re.findall(r"([a-z]+) costs \$", match[0])
    offered = {str(value).lower() for item in fields.values() for value in choices(item)}
    if offered & set(words):
        return False
    draft.remarks.append(f"the model has no {match['what']}")
    return True


def _template_class(match: re.Match[str], draft: Draft, fields: Mapping[str, Field]) -> bool:
    """ "Standard templates will cost …": the classes are spelled out in the field's own description, if anywhere."""
    found: list[tuple[str, str]] = re.findall(r"([a-z]+) (?:templates|presets) will cost \$(\d+(?:\.\d+)?)", match[0])
    members = [(price, _members(word, fields)) for word, price in found]
    if not all(condition for _price, condition in members):
        return False
    for price, condition in members:
        if condition:
            draft.tiers.append(Tier(Decimal(price), conditions=[condition]))
    return True


def _members(word: str, fields: Mapping[str, Field]) -> Condition | None:
    for name, item in fields.items():
        listed = re.search(rf"\b{word} \w+ \(([^)]*)\)", str(item.get("description", "")), re.I)
        if not listed or not item.get("enum"):
            continue
        values = {value.strip() for value in listed[1].split(",")}
        hits = [value for value in item["enum"] if value in values]
        if hits:
            return {"field": name, "is": hits}
    return None


_PRICE = r"\$(?P<price>\d+(?:\.\d+)?)"
READERS: tuple[tuple[re.Pattern[str], Reader], ...] = (
    (
        re.compile(rf"^your request will cost {_PRICE} per training run \(scales linearly with steps\)$"),
        _linear_run,
    ),
    (re.compile(r"^(?P<what>[a-z]+ types): (?:[a-z]+ costs \$[\d.]+(?:, )?)+$"), _absent_choice),
    (re.compile(r"^a single (?P<n>\d+)s video will cost \$[\d.]+/video$"), _single_video),
    (re.compile(rf"^for every additional second you will be charged {_PRICE}$"), _further_seconds),
    (re.compile(rf"^additional seconds will cost {_PRICE} each$"), _further_seconds),
    (
        re.compile(
            rf"^your request will cost \$(?P<first>\d+(?:\.\d+)?) for the first (?P<n>\d+)s(?: of \w+)?,? and {_PRICE} "
            r"(?:for (?:every|each)|per|each) (?:additional |further )?second(?: after that| thereafter)?$"
        ),
        _first_seconds,
    ),
    (re.compile(rf"^your request will cost {_PRICE} for videos up to (?P<n>\d+) ?s?(?:econds)?$"), _bracket),
    (re.compile(rf"^for longer videos, you will be charged {_PRICE} per second of output video$"), _beyond_bracket),
    (re.compile(rf"^the first processed megapixel will cost {_PRICE}$"), _first_megapixel),
    (re.compile(rf"^each additional megapixel will cost {_PRICE}$"), _further_megapixels),
    (re.compile(r"^input images will be resized to 1mp$"), _inputs_at_one_megapixel),
    (
        re.compile(rf"^for other resolutions, 1 million video tokens (?P<audio>with audio )?costs? {_PRICE}$"),
        _million_tokens,
    ),
    (re.compile(rf"^without audio, the price is {_PRICE} per million tokens$"), _million_silent),
    (
        re.compile(
            rf"^each (?P<resolution>\d+p) (?P<n>\d+)s video (?:with audio )?costs? (?P<rough>roughly )?{_PRICE}$"
        ),
        _one_video,
    ),
    (
        re.compile(
            r"^(?:the formula is:?\.? )?\$?(?P<price>\d+\.\d+) ?x steps"
            r"(?: x (?P<factor>reference_multiplier|num_of_layers))?$"
        ),
        _formula,
    ),
    (
        re.compile(
            r"^the reference multiplier for (?P<counts>[\d, and]+) images is (?P<values>[\d., and]+?),? respectively$"
        ),
        _reference_multiplier,
    ),
    (re.compile(r"^image tokens costs will be included$"), _image_tokens),
    (re.compile(r"^you will be charged based on the number of input and output tokens$"), _opaque),
    (re.compile(r",? and up to \$[\d.]+ for \d+mp output resolution"), _upper_end),
    (re.compile(r"^(?:[a-z]+ (?:templates|presets) will cost \$[\d.]+,? ?(?:and )?)+$"), _template_class),
)
