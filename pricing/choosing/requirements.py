"""What somebody needs of a model: words and exact limits, made into conditions that a model meets or does not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.conf import settings

from pricing.choosing.quality import TIERS, WORDS, Quality, largest_lines
from pricing.counting.requests import Field, media_kind
from pricing.money import format_usd, to_nano

STRATEGIES = ("cheapest", "fastest", "quality", "balanced")
MEDIA_KINDS = ("image", "video", "audio", "3d", "text")
_TEXTS = ("prompt", "text", "gen_text", "script", "input_text", "lyrics")
# Of what is short of a requirement, the kinds in the order in which they weigh when nothing else tells.
UNKNOWN = 1.0


@dataclass(frozen=True)
class Needs:
    """What is needed. Amounts in nano-USD per output, latency and lengths in seconds, resolution in lines (the shorter
    side).

    `inputs`: kinds of media (or `text`) that the model must take, or names of its fields. `exclude`: model ids.
    `instead_of`: the address of a model to replace; `same_models`: keys of its confirmed equivalents, which are of its
    task whatever their category says.
    """

    task: str | None = None
    media_type: str | None = None
    kind: str = "inference"
    provider: str | None = None
    max_price: int | None = None
    max_latency: float | None = None
    min_tier: str | None = None
    min_lines: int | None = None
    min_seconds: float | None = None
    inputs: tuple[str, ...] = ()
    capabilities: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    strategy: str = "cheapest"
    instead_of: str | None = None
    same_models: frozenset[int] = frozenset()

    def in_words(self) -> str:
        """The requirements as a sentence names them."""
        said = [f"task {self.task}" if self.task else "", f"makes {self.media_type}" if self.media_type else ""]
        said.append(f"provider {self.provider}" if self.provider else "")
        if self.max_price is not None:
            said.append(f"at most {format_usd(self.max_price)} USD per output")
        if self.max_latency is not None:
            said.append(f"at most {self.max_latency:g} s")
        said.append(f"quality {self.min_tier} or better" if self.min_tier else "")
        said.append(f"{self.min_lines} lines or more" if self.min_lines else "")
        said.append(f"{self.min_seconds:g} s long or longer" if self.min_seconds else "")
        said.append(f"takes {', '.join(self.inputs)}" if self.inputs else "")
        said.append(f"capabilities {', '.join(self.capabilities)}" if self.capabilities else "")
        said.append(f"none of {', '.join(self.exclude)}" if self.exclude else "")
        return "; ".join(part for part in said if part) or "no requirement"

    def as_json(self) -> dict[str, Any]:
        """The requirements as they were understood, for the answer."""
        return {
            "task": self.task,
            "media_type": self.media_type,
            "provider": self.provider,
            "max_price": None if self.max_price is None else format_usd(self.max_price),
            "max_latency": self.max_latency,
            "min_quality": self.min_tier,
            "min_resolution": self.min_lines,
            "min_duration": self.min_seconds,
            "inputs": list(self.inputs),
            "capabilities": list(self.capabilities),
            "exclude": list(self.exclude),
            "strategy": self.strategy,
        }


def budget(word: str) -> int:
    """The nano-USD per output that a word of a budget stands for (settings)."""
    amounts = {"low": settings.BUDGET_LOW, "medium": settings.BUDGET_MEDIUM, "high": settings.BUDGET_HIGH}
    return to_nano(amounts[word])


def tier_of(word: str) -> str:
    """The least tier for `draft`, `production`, `premium`, or a tier itself."""
    return WORDS.get(word, word)


@dataclass(frozen=True)
class Candidate:
    """A model as requirements are held against it. `price`: nano-USD for one output, None while unknown; `at_most`
    where that is a bound. `latency` in seconds, with its source."""

    pk: int
    id: str
    name: str
    provider: str
    category: str
    media_type: str
    capabilities: frozenset[str]
    limits: dict[str, Any]
    inputs: Sequence[Field]
    price: int | None
    at_most: bool
    confidence: str
    quality: Quality
    latency: float | None
    latency_source: str

    @property
    def lines(self) -> int | None:
        """The shorter side of its largest output, as far as its schema says."""
        return largest_lines(self.limits, self.media_type)

    @property
    def longest(self) -> float | None:
        """Seconds of the longest output that a request may ask for, as far as its schema says."""
        stated: float | None = self.limits.get("max_duration")
        return stated


@dataclass(frozen=True)
class Miss:
    """A requirement that a model does not meet: why, and how far off it is (0 is met, 1 is as good as not at all)."""

    words: str
    distance: float


def misses(model: Candidate, needs: Needs) -> list[Miss]:
    """Every requirement that the model does not meet."""
    found = [_price(model, needs), _latency(model, needs), _tier(model, needs)]
    found += [_lines(model, needs), _length(model, needs)]
    lacking = [name for name in needs.inputs if not takes(model.inputs, name)]
    found += [Miss(f"does not take {name}", UNKNOWN) for name in lacking]
    found += [Miss(f"lacks {name}", UNKNOWN) for name in needs.capabilities if name not in model.capabilities]
    return [one for one in found if one is not None]


def takes(inputs: Sequence[Field], wanted: str) -> bool:
    """Whether a model takes a kind of media, a text, or a field of that name."""
    if any(item["name"] == wanted for item in inputs):
        return True
    if wanted == "text":
        return any(item["name"] in _TEXTS for item in inputs)
    return wanted in MEDIA_KINDS and any(media_kind(item) == wanted for item in inputs)


def _price(model: Candidate, needs: Needs) -> Miss | None:
    if needs.max_price is None:
        return None
    if model.price is None:
        return Miss("its price is not known", UNKNOWN)
    if model.price <= needs.max_price:
        return None
    words = f"costs {format_usd(model.price)} USD per output, more than {format_usd(needs.max_price)}"
    return Miss(words, 1 - needs.max_price / model.price)


def _latency(model: Candidate, needs: Needs) -> Miss | None:
    if needs.max_latency is None:
        return None
    if model.latency is None:
        return Miss("how long it takes is not known", UNKNOWN)
    if model.latency <= needs.max_latency:
        return None
    words = f"takes about {model.latency:g} s, longer than {needs.max_latency:g}"
    return Miss(words, 1 - needs.max_latency / model.latency)


def _tier(model: Candidate, needs: Needs) -> Miss | None:
    if needs.min_tier is None or model.quality.rank >= TIERS.index(needs.min_tier):
        return None
    steps = TIERS.index(needs.min_tier) - model.quality.rank
    return Miss(f"its quality is {model.quality.tier}, below {needs.min_tier}", steps / len(TIERS))


def _lines(model: Candidate, needs: Needs) -> Miss | None:
    if needs.min_lines is None:
        return None
    if model.lines is None:
        return Miss("its largest output is not known", UNKNOWN)
    if model.lines >= needs.min_lines:
        return None
    return Miss(f"makes at most {model.lines} lines, fewer than {needs.min_lines}", 1 - model.lines / needs.min_lines)


def _length(model: Candidate, needs: Needs) -> Miss | None:
    if needs.min_seconds is None:
        return None
    if model.longest is None:
        return Miss("how long its output can be is not known", UNKNOWN)
    if model.longest >= needs.min_seconds:
        return None
    words = f"makes at most {model.longest:g} s, shorter than {needs.min_seconds:g}"
    return Miss(words, 1 - model.longest / needs.min_seconds)
