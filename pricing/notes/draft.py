"""What a reader has found so far in price texts, before it becomes a rule."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from pricing.notes.wording import Condition


@dataclass(frozen=True, slots=True)
class Per:
    """What an amount is for one of: a quantity of the rule language, and whether it counts for each output too."""

    quantity: dict[str, Any] | None
    times_outputs: bool = False
    also: tuple[dict[str, Any], ...] = ()
    name: str = ""


@dataclass(slots=True)
class Tier:
    """One amount with the words that qualify it, as the text has them; None stands for the row's unit price."""

    amount: Decimal | None
    per: Per | None = None
    resolutions: list[str] = field(default_factory=list)
    durations: list[Decimal] = field(default_factory=list)
    audio: bool | None = None
    conditions: list[Condition] = field(default_factory=list)
    added: bool = False
    otherwise: bool = False
    variant: bool = False

    def kinds(self) -> set[str]:
        """The kinds of words that tell this tier from others."""
        kinds = {"resolutions"} if self.resolutions or self.otherwise else set()
        kinds |= {"durations"} if self.durations else set()
        kinds |= {"audio"} if self.audio is not None else set()
        return kinds | {_subject(condition) for condition in self.conditions}


def _subject(condition: Condition) -> str:
    return str(condition.get("field") or condition.get("quantity"))


@dataclass(slots=True)
class Draft:
    """Everything read from the texts of one model. `problems` keep a rule proposed; `remarks` only explain it."""

    tiers: list[Tier] = field(default_factory=list)
    charges: list[dict[str, Any]] = field(default_factory=list)
    multipliers: list[dict[str, Any]] = field(default_factory=list)
    examples: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    fps: str | None = None
    rounding: dict[str, str] | None = None
    rounds_megapixels: bool = False
    length_factors: set[str] = field(default_factory=set)
    least_charge: str | None = None
    minimums: dict[str, str] = field(default_factory=dict)
    seconds_of: str | None = None
    base_seconds: str | None = None
    further_second: Decimal | None = None
    fixed_seconds: Decimal | None = None
    linear_run: Decimal | None = None
    opaque: bool = False
    billed_in: str | None = None
    has_base: bool = False

    def conditions(self) -> list[Condition]:
        """All conditions that modifiers speak of; tiers must not repeat what these change."""
        return [condition for part in (*self.multipliers, *self.charges) for condition in part.get("when", [])]
