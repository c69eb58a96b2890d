"""From words of a price text to fields of the model: resolutions, durations, switches, named choices."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from pricing.counting.durations import duration_field, read_seconds
from pricing.counting.image_sizes import lines_and_pixels
from pricing.counting.requests import Field, Request, as_number, is_given

Condition = dict[str, Any]

_IGNORED = frozenset(
    [
        "a",
        "an",
        "the",
        "of",
        "for",
        "to",
        "is",
        "are",
        "if",
        "you",
        "your",
        "use",
        "used",
        "using",
        "enable",
        "enabling",
        "enabled",
        "include",
        "including",
        "in",
        "with",
        "mode",
        "option",
        "options",
        "feature",
        "switch",
        "generate",
        "additional",
        "custom",
        "request",
        "it",
        "input",
        "count",
        "number",
        "s",
    ]
)
_SPLIT = re.compile(r"[^a-z0-9]+")
_RESOLUTION_NAME = re.compile(r"resolution|video_size|image_size|quality|^size$|megapixel")


def choices(item: Field) -> list[Any]:
    """All values that a field offers by name."""
    return [*item.get("enum", []), *item.get("presets", [])]


def resolution_condition(words: list[str], fields: Mapping[str, Field]) -> tuple[Condition | None, list[str]]:
    """A condition for resolution words ("720p", "4k", "1024x1536"), and the words that no field offers."""
    best: tuple[int, str, list[Any], list[str]] | None = None
    for name, item in fields.items():
        offered = choices(item)
        found = {word: [value for value in offered if _same_resolution(word, value)] for word in words}
        hits = [value for values in found.values() for value in values]
        if not hits:
            continue
        lost = [word for word, values in found.items() if not values]
        rank = len(hits) + (100 if _RESOLUTION_NAME.search(name) else 0)
        if best is None or rank > best[0]:
            best = (rank, name, hits, lost)
    if best is None:
        return None, list(words)
    return {"field": best[1], "is": best[2]}, best[3]


def resolution_field(fields: Mapping[str, Field]) -> str | None:
    """The field that carries resolutions, if there is one with more than one choice."""
    for name, item in fields.items():
        if re.search(r"resolution", name) and len(choices(item)) > 1:
            return name
    return None


def _same_resolution(word: str, value: Any) -> bool:
    if isinstance(value, bool):
        return False
    left, right = word.lower(), str(value).strip().lower()
    if left == right or (isinstance(value, int) and left == f"{value}p"):
        return True
    if "x" in left:
        return False
    first, second = lines_and_pixels(left), lines_and_pixels(right)
    if right.startswith("true_") or not first or not second or not re.search(r"[pk]$", right):
        return False
    return first[0] == second[0]


def duration_condition(seconds: list[Decimal], fields: Mapping[str, Field]) -> Condition | None:
    """A condition for lengths of the output in seconds; None when the model offers no length."""
    name = duration_field(Request(fields, {}))
    if name is None:
        return None
    hits = [value for value in choices(fields[name]) if read_seconds(name, value) in seconds]
    if hits:
        return {"field": name, "is": hits}
    return {"quantity": {"of": "seconds"}, "is": [str(value) for value in seconds]}


def audio_field(fields: Mapping[str, Field]) -> str | None:
    """The switch for sound in the output."""
    names = [
        name
        for name, item in fields.items()
        if item.get("type") == "boolean" and re.search(r"^(generate|enable|with|add|include)?_?(audio|sound)", name)
    ]
    return names[0] if names else None


def option_condition(words: str, fields: Mapping[str, Field]) -> Condition | None:
    """The condition that an option is in use, for words such as "web search", "PBR materials", "keyterm"."""
    name = option_field(words, fields)
    return used(fields[name]) if name else None


def option_field(words: str, fields: Mapping[str, Field]) -> str | None:
    """The field whose name shares most with some words; None when none shares enough."""
    wanted = _stems(words)
    best: tuple[float, str] | None = None
    for name, item in fields.items():
        own = _stems(name)
        shared = wanted & own
        # A word in common is not enough where most of what is said stays unexplained.
        if not own or not shared or len(shared) * 2 < len(wanted):
            continue
        score = len(shared) / len(own) + len(shared) / len(wanted)
        if item.get("type") == "boolean":
            score += 0.05
        if score >= 1 and (best is None or score > best[0]):
            best = (score, name)
    return best[1] if best else None


def used(item: Field) -> Condition:
    """The condition that a field is used: switched on, set, or moved from its default."""
    name = item["name"]
    if item.get("type") == "boolean":
        return {"field": name, "is": [True]}
    if item.get("type") in ("integer", "number") and is_given(item.get("default")):
        return {"field": name, "is_not": [item["default"]]}
    return {"field": name, "given": True}


def unused(item: Field) -> Condition:
    """The condition that a switch is off."""
    if item.get("type") == "boolean":
        return {"field": item["name"], "is_not": [True]}
    return {"field": item["name"], "given": False}


def named_choices(text: str, fields: Mapping[str, Field]) -> dict[str, tuple[str, list[Any]]]:
    """Names of choices that stand in a text: phrase → (field, values). A field counts when two of its values are named.

    A value's name is its words ("medium_quality" → "medium quality"), longest names first.
    """
    found: dict[str, tuple[str, list[Any]]] = {}
    for name, item in fields.items():
        named: dict[str, list[Any]] = {}
        for value in choices(item):
            phrase = _phrase(value)
            if phrase and re.search(rf"(?<![a-z0-9]){re.escape(phrase)}(?![a-z0-9])", text):
                named.setdefault(phrase, []).append(value)
        if len(named) < 2 or any(phrase in found and len(found[phrase][1]) for phrase in named):
            continue
        found.update({phrase: (name, values) for phrase, values in named.items()})
    return found


def prefixed_choices(word: str, fields: Mapping[str, Field]) -> Condition | None:
    """A condition for all values of one field that begin with a word ("vector" → "vector_illustration/line_art", …)."""
    for name, item in fields.items():
        hits = [value for value in choices(item) if isinstance(value, str) and value.lower().startswith(word)]
        if hits and len(hits) < len(choices(item)):
            return {"field": name, "is": hits}
    return None


def _phrase(value: Any) -> str:
    if not isinstance(value, str) or as_number(value) is not None:
        return ""
    words = [word for word in _SPLIT.split(value.lower()) if word]
    phrase = " ".join(words)
    return phrase if re.search(r"[a-z]{2}", phrase) and not re.fullmatch(r"\d+(p|k|s|fps)", phrase) else ""


def _stems(words: str) -> set[str]:
    parts = [part for part in _SPLIT.split(re.sub(r"([a-z])([A-Z])", r"\1 \2", words).lower()) if part]
    return {part[:-1] if len(part) > 3 and part.endswith("s") else part for part in parts} - _IGNORED
