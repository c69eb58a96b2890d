"""What a Replicate model costs, in whatever form it is told: a machine's seconds, or tiers of prices per something.

Rows and texts are made of it as every provider gives them. Nothing is guessed: what is not understood has no price.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any

from catalog.providers.base import PriceRow, PriceText

_COMPUTE = "compute seconds"
_MOST = Decimal(100_000)
_TITLE = re.compile(r"per (?:(thousand|million) )?(.+)")
# What a title says: the unit as estimates know it, and how a sentence names it.
_SUBJECTS = {
    "output image": ("images", "image"),
    "output video": ("videos", "video"),
    "output audio": ("audios", "audio"),
    "run": ("requests", "request"),
    "second of output video": ("seconds", "second"),
    "second of output audio": ("seconds", "second"),
    "output image megapixel": ("megapixels", "megapixel"),
    "input image megapixel": ("input megapixels", ""),
    "input character": ("characters", "character"),
    "input characters": ("characters", "character"),
    "character": ("characters", "character"),
    "characters": ("characters", "character"),
}
_SCALES = {"thousand": 1_000, "million": 1_000_000, None: 1}


class NotReadableError(ValueError):
    """A price in a form that is not understood; the message says which."""


@dataclass(frozen=True)
class Tier:
    """One price: `usd` for `scale` of `unit`, where all of `when` holds (the page's own titles and values)."""

    unit: str
    word: str
    scale: int
    usd: Decimal
    when: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Billing:
    """How a model is billed: `usd_per_second` on `machine`, or `tiers`; `problem` says why neither is usable."""

    machine: str = ""
    usd_per_second: Decimal | None = None
    tiers: tuple[Tier, ...] = ()
    problem: str = ""


def tier_of(title: Any, price: Any, when: Mapping[str, Any]) -> Tier:
    """A tier as a page or a table writes it; raises NotReadableError."""
    match = _TITLE.fullmatch(str(title).strip().lower())
    if match is None or match[2] not in _SUBJECTS:
        raise NotReadableError(f"priced {str(title)[:60]!r}, which no request tells")
    unit, word = _SUBJECTS[match[2]]
    return Tier(unit, word, _SCALES[match[1]], amount(price), dict(when))


def amount(text: Any) -> Decimal:
    """An exact amount of USD from "$0.04" or "0.04"; raises NotReadableError."""
    try:
        found = Decimal(str(text).strip().removeprefix("$"))
    except InvalidOperation:
        raise NotReadableError(f"a price of {str(text)[:40]!r} is no amount") from None
    if isinstance(text, float) or not found.is_finite() or not 0 < found <= _MOST:
        raise NotReadableError(f"a price of {str(text)[:40]!r} can't be one")
    return found


def row_of(endpoint_id: str, billing: Billing) -> PriceRow | None:
    """The flat row of a model; None where only its text tells the price."""
    if billing.problem:
        return PriceRow(endpoint_id, problem=billing.problem)
    if billing.usd_per_second is not None:
        return PriceRow(endpoint_id, _COMPUTE, billing.usd_per_second)
    if len(billing.tiers) == 1 and not billing.tiers[0].when:
        tier = billing.tiers[0]
        if tier.word:
            unit = tier.unit if tier.scale == 1 else f"{tier.scale} {tier.unit}"
            return PriceRow(endpoint_id, unit, tier.usd)
    if usd := _both_ways(billing.tiers):
        return PriceRow(endpoint_id, "processed megapixels", usd)
    return None if sentence_of(billing) else PriceRow(endpoint_id, problem="priced by more than one thing at once")


def text_of(endpoint_id: str, billing: Billing) -> PriceText:
    """What estimates have to know beside the row: tiers in a sentence, and the machine."""
    return PriceText(endpoint_id, note=sentence_of(billing), machine_type=billing.machine)


def sentence_of(billing: Billing) -> str:
    """Tiers of one thing as a sentence that price texts are read from; "" where there is no choice to tell of."""
    tiers = billing.tiers
    if len(tiers) < 2 or len({(tier.unit, tier.scale) for tier in tiers}) != 1 or not tiers[0].word:
        return ""
    if any(not tier.when for tier in tiers):
        return ""
    per = tiers[0].word if tiers[0].scale == 1 else f"{tiers[0].scale} {tiers[0].word}s"
    parts = [f"${format(tier.usd, 'f')} for {_words(tier.when)}" for tier in tiers]
    return f"For every {per} you generate, you will be charged {', '.join(parts)}."


def _words(when: Mapping[str, Any]) -> str:
    found = []
    for title, value in when.items():
        if isinstance(value, bool):
            found.append(f"{'with' if value else 'without'} {title.removeprefix('with ')}")
        else:
            found.append(str(value))
    # What a tier is called goes before what it has.
    return " ".join(sorted(found, key=lambda word: word.startswith(("with ", "without "))))


def _both_ways(tiers: tuple[Tier, ...]) -> Decimal | None:
    """The price of a megapixel where what comes in and what goes out cost the same."""
    if any(tier.when or tier.scale != 1 for tier in tiers):
        return None
    if sorted(tier.unit for tier in tiers) != ["input megapixels", "megapixels"] or tiers[0].usd != tiers[1].usd:
        return None
    return tiers[0].usd
