"""The examples that price texts give, tried on the rule that was read from them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from pricing.counting.durations import duration_field, frames_field, read_seconds
from pricing.counting.image_sizes import FACTOR_FIELDS
from pricing.counting.requests import Field, Request
from pricing.money import format_decimal
from pricing.notes.wording import audio_field, choices, resolution_condition
from pricing.rules.check import Rule
from pricing.rules.interpreter import evaluate

_TOLERANCE = Decimal("0.02")
_PRICE = re.compile(r"(?:costs?|costing|be|costs about|=|:)\s*(?:of )?\$(\d+(?:\.\d+)?)")
_SIZE = re.compile(r"(\d{3,5})x(\d{3,5})")


@dataclass(frozen=True, slots=True)
class Example:
    """One example: the price it names and what the rule says; `reproduced` is None when it could not be tried."""

    text: str
    expected: str
    computed: str | None
    reproduced: bool | None


def try_examples(
    rule: Rule, sentences: Sequence[str], fields: Sequence[Field], unit_price: Decimal | None
) -> list[Example]:
    """Try each example: its size, length, frames, steps, choices as input and media facts."""
    tried = []
    for sentence in sentences:
        for part in re.split(r",? and (?=an? \d{3,5}x)", sentence):
            price = _PRICE.search(part)
            if price:
                tried.append(_try(rule, part, Decimal(price[1]), fields, unit_price))
    return tried


def _try(rule: Rule, text: str, expected: Decimal, fields: Sequence[Field], unit_price: Decimal | None) -> Example:
    by_name = {item["name"]: item for item in fields}
    given, media = _input_of(text[: _PRICE.search(text).start()], by_name)  # type: ignore[union-attr]
    if not given and not media:
        return Example(text, format_decimal(expected), None, None)
    result = evaluate(rule, given, fields, media, unit_price=unit_price)
    if result.cost is None:
        return Example(text, format_decimal(expected), None, None)
    close = abs(result.cost - expected) <= _TOLERANCE * expected
    return Example(text, format_decimal(expected), format_decimal(result.cost.normalize()), close)


def _input_of(text: str, fields: dict[str, Field]) -> tuple[dict[str, Any], dict[str, Decimal]]:
    """The input and the media facts that an example describes, as far as its words tell."""
    given: dict[str, Any] = {}
    media: dict[str, Decimal] = {}
    _sizes(text, fields, given, media)
    _length(text, fields, given, media)
    if match := re.search(r"(\d+) steps?\b", text):
        name = next((name for name in ("steps", "number_of_steps", "num_steps") if name in fields), None)
        if name:
            given[name] = int(match[1])
    if match := re.search(r"(\d+) reference images?", text):
        media["reference_images"] = Decimal(match[1])
    if match := re.search(r"(\d+) layers", text):
        media["max_layers_per_image"] = Decimal(match[1])
    for word in re.findall(r"\b\d{3,4}p\b|\b[248]k\b", text):
        condition, _lost = resolution_condition([word], fields)
        if condition:
            given[condition["field"]] = condition["is"][0]
    audio = audio_field(fields)
    if audio and "audio" in text:
        given[audio] = not re.search(r"without audio|audio off", text)
    return given, media


def _sizes(text: str, fields: dict[str, Field], given: dict[str, Any], media: dict[str, Decimal]) -> None:
    sizes = [(int(width), int(height)) for width, height in _SIZE.findall(text)]
    if not sizes:
        return
    if len(sizes) > 1:
        width, height = sizes[1]
        media["input_images_mp"] = Decimal(width * height) / 1_000_000
        if "image_urls" in fields:
            given["image_urls"] = ["https://example.com/image.png"]
    width, height = sizes[0]
    name = next((name for name in ("image_size", "video_size") if name in fields), None)
    if name:
        given[name] = {"width": width, "height": height}
        return
    media["input_width"], media["input_height"] = Decimal(width), Decimal(height)
    for factor in FACTOR_FIELDS:
        if factor in fields:
            given[factor] = 1


def _length(text: str, fields: dict[str, Field], given: dict[str, Any], media: dict[str, Decimal]) -> None:
    if match := re.search(r"(\d+) frames", text):
        name = frames_field(Request(fields, {}))
        if name:
            given[name] = int(match[1])
            given |= {"num_context_frames": 0} if "num_context_frames" in fields else {}
            given |= {switch: False for switch in ("match_video_length", "match_audio_length") if switch in fields}
        else:
            media["input_frames"] = media["output_frames"] = Decimal(match[1])
        return
    if match := re.search(r"\b(\d+(?:\.\d+)?)s\b", text):
        seconds = Decimal(match[1])
        name = duration_field(Request(fields, {}))
        hits = [value for value in choices(fields[name]) if read_seconds(name, value) == seconds] if name else []
        if name and hits:
            given[name] = hits[0]
        else:
            media["output_video_seconds"] = media["input_video_seconds"] = media["input_audio_seconds"] = seconds
