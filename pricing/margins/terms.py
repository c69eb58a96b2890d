"""How a price follows from a cost: margin, markup or fixed price, with an optional fee and a minimum charge."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal, localcontext
from typing import Literal

from pricing.money import NotMoney, parse_decimal, to_nano, to_usd

Mode = Literal["margin", "markup", "fixed"]
MODES: tuple[Mode, ...] = ("margin", "markup", "fixed")


class BadMargin(NotMoney):
    """Terms that can't make a price; the message says which value and why."""


@dataclass(frozen=True, slots=True)
class Terms:
    """Terms of a margin rule. `rate` is a fraction (0.70), amounts are nano-USD; `fixed_price` only in mode `fixed`."""

    mode: Mode
    rate: Decimal = Decimal(0)
    fixed_price: int = 0
    fee: int = 0
    minimum: int = 0


CORE_TERMS = Terms(mode="markup")
DEFAULT_TERMS = Terms(mode="margin", rate=Decimal("0.70"), minimum=1_000_000)


def read_terms(mode: str, *, rate: object = 0, fixed_price: int = 0, fee: int = 0, minimum: int = 0) -> Terms:
    """Check and build terms. Refuses unknown modes, rates that are no number, negative, or (in mode margin) ≥ 1."""
    if mode not in MODES:
        raise BadMargin(f"mode must be one of {', '.join(MODES)}, not {mode!r}")
    try:
        number = parse_decimal(rate, what="rate")
    except NotMoney as error:
        raise BadMargin(str(error)) from None
    if number < 0:
        raise BadMargin(f"rate can't be negative: {rate}")
    if mode == "margin" and number >= 1:
        raise BadMargin(
            f"a margin of {number * 100:f} % has no price: rate must be below 1 (0.70 means 70 % of the price)"
        )
    for name, amount in (("fixed price", fixed_price), ("fee", fee), ("minimum", minimum)):
        if isinstance(amount, bool) or not isinstance(amount, int):
            raise BadMargin(f"{name} must be whole nano-USD, not {amount!r}")
        if amount < 0:
            raise BadMargin(f"{name} can't be negative: {amount}")
    return Terms(mode=mode, rate=number, fixed_price=fixed_price, fee=fee, minimum=minimum)


def price_of(cost: int, terms: Terms) -> int:
    """The price in nano-USD for a cost in nano-USD: by mode, plus the fee, at least the minimum charge.

    `margin`: cost / (1 − rate); `markup`: cost × (1 + rate); `fixed`: the fixed price, whatever the cost.
    """
    if isinstance(cost, bool) or not isinstance(cost, int):
        raise BadMargin(f"cost must be whole nano-USD, not {cost!r}")
    if cost < 0:
        raise BadMargin(f"cost can't be negative: {cost}")
    return max(_by_mode(cost, terms) + terms.fee, terms.minimum)


def _by_mode(cost: int, terms: Terms) -> int:
    if terms.mode == "fixed":
        return terms.fixed_price
    with localcontext() as context:
        context.prec = 60
        usd = to_usd(cost)
        return to_nano(usd / (1 - terms.rate) if terms.mode == "margin" else usd * (1 + terms.rate))


def true_margin(cost: int, price: int) -> Decimal | None:
    """The share of the price that stays with us, (price − cost) / price; None for a price of 0."""
    if price == 0:
        return None
    return Decimal(price - cost) / Decimal(price)
