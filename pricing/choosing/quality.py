"""How good a model's output is said to be: an admin's word, else a guess from evidence that is named with it.

The evidence is what anybody can see: words that makers put into names to set a better or a faster variant apart, the
largest output, the number of steps, and the price among models of the same task. No maker and no model is known here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pricing.counting.requests import Field, as_number

TIERS = ("low", "medium", "high", "ultra")
# The tier that each word of the requirements asks for at least.
WORDS = {"draft": "low", "production": "medium", "premium": "high"}

_BETTER = re.compile(r"\b(pro|ultra|max|premium|master|quality|large|hd|uhd|4k|advanced)\b", re.I)
_FASTER = re.compile(
    r"\b(fast|faster|turbo|lite|mini|flash|lightning|schnell|draft|small|tiny|distilled|instant|realtime)\b", re.I
)
_LARGE_LINES, _SMALL_LINES = 2000, 600
# A schema that allows more than this does not mean it: it is the bound of a type that many models share.
_MEANINGLESS_LINES = 8192
_FEW_STEPS = 8
_STEPS = ("num_inference_steps", "num_steps", "steps")
_CHEAP, _DEAR, _DEAREST = 0.25, 0.75, 0.93


@dataclass(frozen=True)
class Quality:
    """A tier, whether an admin set it or it is derived, and for a derived one the evidence in words."""

    tier: str
    source: str
    evidence: tuple[str, ...] = ()

    @property
    def rank(self) -> int:
        """The tier as a number; more is better."""
        return TIERS.index(self.tier)


def quality_of(
    stated: str,
    *,
    name: str,
    media_type: str,
    limits: Mapping[str, Any],
    inputs: Sequence[Field],
    price_rank: float | None,
) -> Quality:
    """The quality of a model. `stated`: an admin's tier, or ""; `price_rank`: its place among the prices of its task,
    from 0 (cheapest) to 1, None where its price is not known or there are too few to compare with."""
    if stated in TIERS:
        return Quality(stated, "admin")
    found = [*_by_name(name), *_by_size(limits, media_type), *_by_steps(inputs), *_by_price(price_rank)]
    score = 1 + sum(points for points, _ in found)
    tier = TIERS[min(max(score, 0), len(TIERS) - 1)]
    return Quality(tier, "derived", tuple(words for _, words in found) or ("nothing tells it apart",))


def _by_name(name: str) -> list[tuple[int, str]]:
    spaced = re.sub(r"[^A-Za-z0-9]+", " ", name)
    # A variant is a fast one of a good model as often as not: the word for speed then decides.
    for pattern, points, words in ((_FASTER, -1, "a faster variant"), (_BETTER, 1, "a better variant")):
        match = pattern.search(spaced)
        if match:
            return [(points, f"its name says {words} ({match[0].lower()})")]
    return []


def _by_size(limits: Mapping[str, Any], media_type: str) -> list[tuple[int, str]]:
    lines = largest_lines(limits, media_type)
    if lines is None or lines > _MEANINGLESS_LINES:
        return []
    if lines >= _LARGE_LINES:
        return [(1, f"makes up to about {lines} lines")]
    return [(-1, f"makes at most about {lines} lines")] if lines < _SMALL_LINES else []


def largest_lines(limits: Mapping[str, Any], media_type: str) -> int | None:
    """The shorter side of the largest output in pixels, as far as the schema bounds it: "1080p", "4K", a largest side.

    One K is 1024 pixels of a square image, and 540 lines of a video of 16:9.
    """
    text = str(limits.get("max_resolution", "")).strip().lower()
    if match := re.fullmatch(r"(?:true_)?(\d{3,4})p", text):
        return int(match[1])
    if match := re.fullmatch(r"(\d+(?:\.\d+)?)k", text):
        return int(float(match[1]) * (540 if media_type == "video" else 1024))
    if match := re.fullmatch(r"(\d{2,5})\s*[x*]\s*(\d{2,5})", text):
        return min(int(match[1]), int(match[2]))
    sides = [as_number(limits.get(name)) for name in ("max_width", "max_height")]
    known = [int(side) for side in sides if side]
    return min(known) if known else None


def _by_steps(inputs: Sequence[Field]) -> list[tuple[int, str]]:
    for item in inputs:
        if item["name"] in _STEPS:
            usual = as_number(item.get("default"))
            if usual and usual <= _FEW_STEPS:
                return [(-1, f"takes {usual} steps, as distilled models do")]
    return []


def _by_price(rank: float | None) -> list[tuple[int, str]]:
    if rank is None or _CHEAP <= rank < _DEAR:
        return []
    if rank < _CHEAP:
        return [(-1, "among the cheapest quarter of its task")]
    if rank >= _DEAREST:
        return [(2, "among the dearest of its task")]
    return [(1, "among the dearest quarter of its task")]
