"""What is frozen with a job about its money, so that a bill that comes later is charged as it would have been then."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.conf import settings

from pricing.counting.units import normalise_unit
from pricing.estimates.facts import Facts
from pricing.estimates.quotes import Quote
from pricing.margins.terms import Terms, read_terms
from pricing.models import Account
from pricing.money import format_decimal, parse_price


@dataclass(frozen=True, slots=True)
class Frozen:
    """The terms of one job. `hold` in nano-USD; `margin` None where the price is not made from the cost (kept prices).

    `units` are the units that a bill may be in. `unit_prices` are USD per billed unit: the row's first, then the
    rule's where it prices the same unit; empty where rule and row speak of different units (`by_rule`) or nobody knew
    a price of a unit. `is_bound`: the quoted cost was an upper bound, no expectation.
    """

    billing: str
    hold: int
    margin: Terms | None
    units: tuple[str, ...] = ()
    unit_prices: tuple[Decimal, ...] = ()
    by_rule: bool = False
    is_bound: bool = False
    charges_failures: bool = False
    charges_cancels: bool = True

    def as_json(self) -> dict[str, Any]:
        """What `read_frozen` reads again; stands in `UsageRecord.terms`."""
        margin = None
        if self.margin is not None:
            margin = {
                "mode": self.margin.mode,
                "rate": format_decimal(self.margin.rate),
                "fixed_price": self.margin.fixed_price,
                "fee": self.margin.fee,
                "minimum": self.margin.minimum,
            }
        return {
            "billing": self.billing,
            "hold": self.hold,
            "margin": margin,
            "units": list(self.units),
            "unit_prices": [format_decimal(price) for price in self.unit_prices],
            "by_rule": self.by_rule,
            "is_bound": self.is_bound,
            "charges_failures": self.charges_failures,
            "charges_cancels": self.charges_cancels,
        }


def freeze(quote: Quote, facts: Facts, account: Account, *, hold: int) -> Frozen:
    """The terms of a job that was quoted now; `hold` in nano-USD.

    A bill counts in the unit of the provider's price row, whatever a rule makes the quote of. Where the two speak of
    different units, billed units say nothing about the price, and the rule's price stands.
    """
    # There the user pays the provider, whatever became of the job.
    is_core = settings.GENFEED_MODE == "core"
    row, quoted = normalise_unit(facts.unit or ""), normalise_unit(quote.unit)
    by_rule = facts.rule is not None and row != quoted
    prices: list[Decimal] = []
    if not by_rule:
        prices = [price for price in (facts.unit_price, _price(quote.unit_price)) if price is not None]
    return Frozen(
        billing=Account.Billing.METERED if is_core else account.billing,
        hold=hold,
        margin=read_terms(**quote.margin) if quote.margin else None,
        units=tuple(dict.fromkeys(unit for unit in (facts.unit, facts.billed_in, quote.unit) if unit)),
        unit_prices=tuple(dict.fromkeys(prices)),
        by_rule=by_rule,
        is_bound=quote.confidence == "bounded",
        charges_failures=account.charges_failures or is_core,
        charges_cancels=account.charges_cancels or is_core,
    )


def read_frozen(stored: Mapping[str, Any]) -> Frozen:
    """Terms as `Frozen.as_json` wrote them. Raises ValueError or KeyError for what it did not write."""
    margin = stored["margin"]
    return Frozen(
        billing=stored["billing"],
        hold=stored["hold"],
        margin=read_terms(**margin) if margin else None,
        units=tuple(stored["units"]),
        unit_prices=tuple(parse_price(price) for price in stored["unit_prices"]),
        by_rule=stored["by_rule"],
        is_bound=stored["is_bound"],
        charges_failures=stored["charges_failures"],
        charges_cancels=stored["charges_cancels"],
    )


def _price(text: str | None) -> Decimal | None:
    return None if text is None else parse_price(text)
