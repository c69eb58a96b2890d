"""What a clause about a change speaks of: "4k outputs", "60fps", "8s videos", "detail pass", as a condition."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal

from pricing.counting.requests import Field
from pricing.notes.wording import (
    Condition,
    audio_field,
    choices,
    duration_condition,
    option_condition,
    prefixed_choices,
    resolution_condition,
    used,
)

_RESOLUTION = re.compile(r"\b\d{3,4}p\b|\b[1248]k\b")
_FPS = re.compile(r"\b(\d{2,3})fps\b")
_DURATION = re.compile(r"\b(\d+)s\b")


def subject_condition(words: str, fields: Mapping[str, Field]) -> Condition | None:
    """The condition that a clause names; None when no field of the model carries it."""
    if resolutions := _RESOLUTION.findall(words):
        return resolution_condition(resolutions, fields)[0]
    if rate := _FPS.search(words):
        return _fps_condition(rate[1], fields)
    if seconds := _DURATION.findall(words):
        return duration_condition([Decimal(value) for value in seconds], fields)
    if re.search(r"\baudio\b|\bsound\b", words):
        name = audio_field(fields)
        if name:
            return used(fields[name])
    return option_condition(words, fields) or _style_condition(words, fields)


def _fps_condition(rate: str, fields: Mapping[str, Field]) -> Condition:
    for name, item in fields.items():
        hits = [value for value in choices(item) if str(value).lower() == f"{rate}fps"]
        if hits:
            return {"field": name, "is": hits}
    # An output without a rate of its own keeps the input's, if that is told; who tells none has an ordinary one.
    return {"quantity": {"of": "fps", "named": True}, "at_least": rate}


def _style_condition(words: str, fields: Mapping[str, Field]) -> Condition | None:
    for word in words.split():
        found = prefixed_choices(word.rstrip("s"), fields) if len(word) > 3 else None
        if found:
            return found
    return None
