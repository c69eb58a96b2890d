"""What a handful of billed runs say about a price: which quantity of the request the cost went with, at what rate.

Pure; no database. An opaque unit tells nothing before a run, so the price is looked for in units that a request can be
counted in.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal, localcontext
from statistics import median
from typing import Any

from pricing.counting.units import is_derivable
from pricing.estimates.costs import estimate_cost
from pricing.estimates.facts import Facts
from pricing.money import NotMoney, format_decimal, to_usd

FEWEST_OBSERVATIONS = 3
# How far the observations may lie apart, as a share of their median; bills are rounded, prices are not that loose.
SPREAD = Decimal("0.05")
_DIGITS = 28
_PER_OUTPUT = {"image": "images", "video": "videos", "audio": "audios"}
_QUANTITIES = ("seconds", "megapixels", "characters", "steps", "frames", "tokens")


class CalibrationError(ValueError):
    """Something that a calibration can't do; the message says why and what to do."""


@dataclass(frozen=True)
class Observation:
    """One run: its input, what the provider billed (`units` of `unit`), and the cost in nano-USD."""

    input: dict[str, Any]
    units: str
    unit: str
    cost: int


@dataclass(frozen=True)
class Proposal:
    """USD for one `unit`, exactly the median of the observations; `remarks`: what they leave open, in words."""

    unit: str
    unit_price: Decimal
    words: str
    remarks: tuple[str, ...] = ()


def read_proposal(facts: Facts, observations: Sequence[Observation]) -> Proposal:
    """The price that all observations agree on.

    Raises CalibrationError where they are too few, cost nothing, or contradict each other whatever is counted.
    """
    if len(observations) < FEWEST_OBSERVATIONS:
        raise CalibrationError(
            f"{len(observations)} of at least {FEWEST_OBSERVATIONS} runs are recorded; a price needs more of them."
        )
    free = sum(seen.cost == 0 for seen in observations)
    if free == len(observations):
        raise CalibrationError("All runs cost 0. If the model is free, a person can confirm that on its price page.")
    if free:
        raise CalibrationError(f"The runs contradict each other: {free} of {len(observations)} cost 0.")
    fitting = []
    for unit in _units_to_try(facts, observations):
        counts = _counts(facts, unit, observations)
        if counts is None:
            continue
        prices = [_divide(to_usd(seen.cost), count) for seen, count in zip(observations, counts, strict=True)]
        if (max(prices) - min(prices)) <= SPREAD * median(prices):
            fitting.append((unit, prices, counts))
    if not fitting:
        raise CalibrationError(_contradiction(observations))
    unit, prices, _ = fitting[0]
    price = _median(prices)
    words = f"{len(observations)} runs cost {format_decimal(price)} USD per {unit.removesuffix('s')}"
    if max(prices) != min(prices):
        words += f", between {format_decimal(min(prices))} and {format_decimal(max(prices))}"
    return Proposal(unit, price, f"{words}.", _remarks(facts, unit, [other for other, _, _ in fitting[1:]]))


def _units_to_try(facts: Facts, observations: Sequence[Observation]) -> list[str]:
    """The billed unit where a request tells it, then the simplest explanation first."""
    billed = {seen.unit for seen in observations}
    own = [unit for unit in billed if len(billed) == 1 and is_derivable(unit)]
    return list(dict.fromkeys([*own, "requests", _PER_OUTPUT.get(facts.media_type, "generations"), *_QUANTITIES]))


def _counts(facts: Facts, unit: str, observations: Sequence[Observation]) -> list[Decimal] | None:
    """How many of a unit each input takes; None where one of them does not tell."""
    counts = []
    for seen in observations:
        try:
            one = estimate_cost(unit=unit, unit_price=Decimal(1), rule=None, inputs=facts.inputs, input=seen.input)
        except NotMoney:
            return None
        if one.confidence not in ("exact", "derived") or not one.cost:
            return None
        counts.append(one.cost)
    return counts


def _remarks(facts: Facts, unit: str, others: list[str]) -> tuple[str, ...]:
    remarks = []
    if others:
        names = " or per ".join(other.removesuffix("s") for other in others)
        remarks.append(
            f"The runs agree as well on a price per {names}: they are all alike in that. Inputs that differ would tell."
        )
    if facts.rule is not None:
        remarks.append("An active price rule outranks this price; retire it if the runs are right.")
    return tuple(remarks)


def _contradiction(observations: Sequence[Observation]) -> str:
    costs = sorted(to_usd(seen.cost) for seen in observations)
    billed = sorted({seen.unit or "(no unit)" for seen in observations})
    return (
        f"The runs contradict each other: they cost between {format_decimal(costs[0])} and {format_decimal(costs[-1])} "
        f"USD, and nothing that a request can be counted in explains it (billed in {', '.join(billed)}). "
        "Write a price rule instead, or run inputs that differ in one field only."
    )


def _median(prices: Sequence[Decimal]) -> Decimal:
    with localcontext() as context:
        context.prec = _DIGITS
        return +Decimal(median(prices))


def _divide(cost: Decimal, count: Decimal) -> Decimal:
    with localcontext() as context:
        context.prec = _DIGITS
        return cost / count
