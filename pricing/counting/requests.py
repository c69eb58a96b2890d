"""One request as pricing sees it: the model's fields, what was given, schema defaults, facts about media."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from pricing.money import NotMoney, parse_decimal, parse_price

Field = dict[str, Any]

_SPOKEN = ("text", "gen_text", "script", "prompt")
_SAMPLE_WORDS = re.compile(r"reference audio|voice to clone|cloning|generate (the )?speech from|background music")
_SAMPLE = re.compile(r"(^|_)(ref|reference|voices?|speakers?|prompt|style|emotion|emotional)(_|$)")
_LARGEST_NUMBER = Decimal(10) ** 15

# What an input can't show of its files; the names that the API takes as `media`.
MEDIA_FACTS = (
    "input_video_seconds",
    "output_video_seconds",
    "input_audio_seconds",
    "output_audio_seconds",
    "input_frames",
    "output_frames",
    "input_fps",
    "input_width",
    "input_height",
    "input_images_mp",
    "reference_images",
    "max_layers_per_image",
)


@dataclass(frozen=True, slots=True)
class Request:
    """`fields` by name (mapped schema), `given` as sent, `media` facts as Decimals, output media kinds if known."""

    fields: Mapping[str, Field]
    given: Mapping[str, Any]
    media: Mapping[str, Decimal] = field(default_factory=dict)

    def has(self, name: str) -> bool:
        """Whether the model has a field of that name."""
        return name in self.fields

    def value(self, name: str) -> Any:
        """What counts for a field: the given value, else its default; None where neither is there."""
        if name in self.given:
            return self.given[name]
        return self.fields.get(name, {}).get("default")

    def numbers(self, name: str) -> list[Decimal]:
        """All numbers that the schema lets a field be, as far as an enum says so; empty where it does not."""
        found = [as_number(choice) for choice in self.fields.get(name, {}).get("enum", [])]
        return [number for number in found if number is not None]


def make_request(inputs: Sequence[Field], given: Mapping[str, Any], media: Mapping[str, Any] | None = None) -> Request:
    """Build a request; raises NotMoney for a media fact that is unknown, no number, negative or not finite."""
    facts: dict[str, Decimal] = {}
    for name, value in (media or {}).items():
        if name not in MEDIA_FACTS:
            raise NotMoney(f"unknown media fact {name!r}; known are {', '.join(MEDIA_FACTS)}")
        if value is not None:
            facts[name] = parse_price(value, what=name)
    return Request({item["name"]: item for item in inputs}, given, facts)


def as_number(value: Any) -> Decimal | None:
    """A finite number of sane size from JSON (3, 3.5, "3"), never from a boolean; None for everything else."""
    if value is None:
        return None
    try:
        number = parse_decimal(value)
    except NotMoney:
        return None
    return number if abs(number) < _LARGEST_NUMBER else None


def is_given(value: Any) -> bool:
    """Whether an option counts as used: not null, not false, not empty."""
    return value is not None and value is not False and value != "" and value != [] and value != {}


def media_kind(item: Field) -> str | None:
    """The media kind that a field carries, its own or its elements'."""
    return item.get("media") or item.get("items", {}).get("media")


def media_fields(fields: Iterable[Field], kind: str) -> Iterator[Field]:
    """Fields that carry media of a kind, nested ones too."""
    for item in fields:
        if media_kind(item) == kind:
            yield item
        for inner in (item.get("fields", []), item.get("items", {}).get("fields", [])):
            yield from media_fields(inner, kind)


def takes_media(request: Request, kind: str) -> bool:
    """Whether this request brings media of a kind, given or required; samples of a voice or a style do not count."""
    return any(
        item.get("required") or is_given(request.value(item["name"])) for item in _pace_setters(request.fields, kind)
    )


def offers_media(fields: Mapping[str, Field], kind: str) -> bool:
    """Whether the model has a place for media of a kind, brought or not; samples do not count."""
    return any(True for _ in _pace_setters(fields, kind))


def _pace_setters(fields: Mapping[str, Field], kind: str) -> Iterator[Field]:
    for item in fields.values():
        if kind != "image" and _is_sample(item, fields):
            continue
        if any(True for _ in media_fields([item], kind)):
            yield item


def pace_setting_files(request: Request, kind: str) -> Iterator[tuple[str, str]]:
    """The files of a kind that this request brings in its top-level fields, as (field, URL); samples do not count."""
    for item in _pace_setters(request.fields, kind):
        value = request.given.get(item["name"])
        for inner in value if isinstance(value, list) else [value]:
            # Some models take a file as an object with its URL.
            url = inner.get("url") if isinstance(inner, dict) else inner
            if isinstance(url, str) and url and media_kind(item) == kind:
                yield item["name"], url


def _is_sample(item: Field, fields: Mapping[str, Field]) -> bool:
    """Whether a file only shows how something should sound or look; its length says nothing about the output's."""
    if _SAMPLE.search(item["name"]):
        return True
    speaks = any(fields[name].get("required") for name in _SPOKEN if name in fields)
    return speaks and bool(_SAMPLE_WORDS.search(str(item.get("description", "")).lower()))


def count_media(request: Request, kind: str) -> int:
    """How many files of a kind this request brings in its top-level fields."""
    total = 0
    for item in request.fields.values():
        if media_kind(item) != kind:
            continue
        value = request.value(item["name"])
        total += len(value) if isinstance(value, list) else int(is_given(value))
    return total
