"""What a newly read price may do by itself, and what waits for a person: pure rules, no database."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from django.conf import settings

from pricing.counting.units import normalise_unit
from pricing.models import PricePoint
from pricing.money import NotMoney, format_decimal, parse_price

LARGEST_PRICE = Decimal(100_000)
_LONGEST = 40
# What no row of a price list replaces.
FIXED_SOURCES = (PricePoint.Source.MANUAL, PricePoint.Source.OBSERVED)

Kind = Literal["first", "unchanged", "changed", "held", "kept"]


@dataclass(frozen=True, slots=True)
class Offered:
    """A price as it was read: unit and price in one currency. Make it with `offered`, which checks it."""

    raw_unit: str
    unit_price: Decimal
    currency: str

    @property
    def unit(self) -> str:
        return normalise_unit(self.raw_unit)

    def __str__(self) -> str:
        return f"{format_decimal(self.unit_price)} {self.currency} per {self.unit or '(no unit)'}"


def offered(raw_unit: str, unit_price: object, currency: str = "USD") -> Offered:
    """A checked price; raises NotMoney for one that is negative, not finite, absurdly large or endlessly fine."""
    price = parse_price(unit_price, what="unit price")
    if price > LARGEST_PRICE:
        raise NotMoney(f"a unit price of {unit_price} is absurd; the most is {LARGEST_PRICE}")
    if (price and price.adjusted() < -_LONGEST) or len(format_decimal(price)) > _LONGEST:
        raise NotMoney("a unit price has at most 40 digits")
    if len(raw_unit) > 60 or "\x00" in raw_unit:
        raise NotMoney("a unit is a text of at most 60 characters")
    return Offered(raw_unit, price, currency)


@dataclass(frozen=True, slots=True)
class Verdict:
    """`percent`: the change against the current price, None where there is none to compare; `why` in words."""

    kind: Kind
    why: str = ""
    percent: float | None = None

    @property
    def alerts(self) -> bool:
        """Whether a change that is taken over is large enough to tell a person."""
        return self.kind == "changed" and abs(self.percent or 0) > settings.PRICE_ALERT_PERCENT


def judge(current: PricePoint | None, new: Offered, *, source: str) -> Verdict:
    """What a new price does to the current one.

    Manual and observed prices stay whatever a price list says, manual ones whatever bills say. Another unit or
    currency, a change above PRICE_HOLD_PERCENT, and a fall to 0 wait for a person.
    """
    if new.currency != "USD":
        return _in_other_currency(current, new)
    if current is None:
        return Verdict("first")
    if _stands_fast(current, source):
        return Verdict("kept", f"the price {current.get_source_display()} stands")
    old = Decimal(current.unit_price)
    percent = _percent(old, new.unit_price)
    if new.unit != current.unit:
        return Verdict(
            "held", f"the unit changed from {current.unit or '(none)'!r} to {new.unit or '(none)'!r}", percent
        )
    if new.unit_price == old:
        return Verdict("unchanged")
    if old == 0:
        # A row of 0 was unknown: there is nothing to protect, unless a person called it free.
        return Verdict("held", "a free model is no longer free") if current.is_free else Verdict("first")
    if new.unit_price == 0:
        return Verdict("held", "the price fell to 0", percent)
    if percent is not None and abs(percent) > settings.PRICE_HOLD_PERCENT:
        return Verdict("held", f"the price changed by {percent:+.1f} %", percent)
    return Verdict("changed", f"the price changed by {percent:+.1f} %", percent)


def _in_other_currency(current: PricePoint | None, new: Offered) -> Verdict:
    if current is None:
        return Verdict("held", f"the price is in {new.currency}, and only USD is understood")
    if current.source in FIXED_SOURCES:
        return Verdict("kept", f"the price {current.get_source_display()} stands")
    return Verdict("held", f"the currency changed from {current.currency} to {new.currency}")


def _stands_fast(current: PricePoint, source: str) -> bool:
    if source == PricePoint.Source.OBSERVED:
        return current.source == PricePoint.Source.MANUAL
    return source == PricePoint.Source.ADVERTISED and current.source in FIXED_SOURCES


def _percent(old: Decimal, new: Decimal) -> float | None:
    """For people and guards only; no money is made of it."""
    return float((new - old) / old * 100) if old else None


def same_price(point: PricePoint, new: Offered) -> bool:
    """Whether a point says the same as a price that was read."""
    return (point.unit, point.currency, Decimal(point.unit_price)) == (new.unit, new.currency, new.unit_price)
