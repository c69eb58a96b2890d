"""What a request costs by the table of variants (builtin/data/prices.toml)."""

from collections.abc import Callable
from decimal import Decimal
from math import ceil
from typing import Any

from genfeed.sandbox.builtin.prices import Rate, Rule, When
from genfeed.sandbox.money.work import MILLION, Work

SAMPLES = ("num_samples", "num_outputs")


def cost_of(rule: Rule, work: Work, flat: Decimal) -> Decimal:
    """The cost in USD. `flat` is the model's price row; it counts where the rule names no price that fits."""
    price = _price(rule, work.given, flat)
    quantity = _quantity(rule, work)
    if rule.round_up and "megapixel" not in rule.per:
        quantity = Decimal(ceil(quantity / rule.round_up) * rule.round_up)
    if rule.least:
        quantity = max(quantity, Decimal(rule.least))
    if rule.included and quantity <= rule.included[0]:
        cost = Decimal(rule.included[1])
    elif rule.first:
        cost = Decimal(rule.first) + max(Decimal(0), quantity - 1) * price
    else:
        cost = quantity * price
    for factor in rule.factors:
        if fits(factor.when, work.given):
            cost *= Decimal(factor.price)
    return cost + sum((Decimal(extra.price) for extra in rule.extras if fits(extra.when, work.given)), Decimal(0))


def fits(when: When, given: dict[str, Any]) -> bool:
    """Whether an input is the variant that `when` names; numbers and texts are compared as they are written."""
    return all(_written(given.get(name)) == _written(value) for name, value in when.items())


def _written(value: Any) -> str:
    text = str(value).lower()
    return text[:-1] if text[:-1].isdigit() and text.endswith("s") else text


def _price(rule: Rule, given: dict[str, Any], flat: Decimal) -> Decimal:
    chosen: Rate | None = next((rate for rate in rule.rates if fits(rate.when, given)), None)
    return flat if chosen is None else Decimal(chosen.price)


def _quantity(rule: Rule, work: Work) -> Decimal:
    if rule.fps and rule.per.startswith("second"):
        frames = work.given.get("num_frames")
        return Decimal(frames) / rule.fps if isinstance(frames, int) else work.seconds
    if rule.per == "megapixel":
        return work.whole_megapixels if rule.round_up else work.megapixels
    if rule.per.startswith("megapixel of video"):
        return work.whole_megapixels if rule.round_up else work.megapixels
    return QUANTITIES[rule.per](work)


def _samples(work: Work) -> Decimal:
    return next((Decimal(value) for name in SAMPLES if isinstance(value := work.given.get(name), int)), Decimal(1))


QUANTITIES: dict[str, Callable[[Work], Decimal]] = {
    "second of video": lambda work: work.seconds,
    "second of sound": lambda work: work.seconds,
    "second of sound and sample": lambda work: work.seconds * _samples(work),
    "10 seconds of sound": lambda work: work.seconds / 10,
    "minute of sound": lambda work: work.seconds / 60,
    "16 frames of video": lambda work: Decimal(work.measures.frames) / 16,
    "million video tokens (height x width x 24 x seconds / 1024)": lambda work: work.video_tokens / MILLION,
    "megapixel of input and output": lambda work: work.binary_megapixels + work.input_pictures,
    "image": lambda work: work.count,
    "step": lambda work: work.steps,
    "1000 characters": lambda work: work.characters / 1000,
    "video": lambda work: Decimal(work.measures.count),
    "video of 4 seconds": lambda work: Decimal(work.measures.count),
    "video of 5 seconds": lambda work: Decimal(work.measures.count),
    "model": lambda _work: Decimal(1),
    "request": lambda _work: Decimal(1),
}
