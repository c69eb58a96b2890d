"""Charge and cost of a job at its end, from what the result says was billed. Pure; later bills go by `charging` too."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from pricing.models import UsageRecord
from pricing.money import NotMoney, to_nano
from pricing.settling.charging import Billed, charge_of, judge_bill
from pricing.settling.frozen import Frozen

Outcome = UsageRecord.Outcome
Source = UsageRecord.CostSource


@dataclass(frozen=True, slots=True)
class Amounts:
    """nano-USD; `quarantine` says why a person must look at the bill, "" where nobody must."""

    charge: int
    cost: int
    source: str
    quarantine: str = ""


def amounts_at_end(
    frozen: Frozen, *, outcome: str, quoted_cost: int | None, quoted_price: int | None, units: Decimal | None
) -> Amounts:
    """What an ended job is charged and costs. `units`: billed units of the result, None where it says nothing.

    Without a word about units a success costs what was estimated, and anything else is taken not to be billed; a later
    billing event corrects both. A bill that makes no sense beside the quote, or that no account could hold, is set
    aside: the client pays the quote.
    """
    succeeded = outcome == Outcome.SUCCEEDED
    try:
        return _amounts(frozen, outcome=outcome, quoted_cost=quoted_cost, quoted_price=quoted_price, units=units)
    except NotMoney as error:
        charge = _quoted(frozen, quoted_price) if succeeded else 0
        return Amounts(charge, quoted_cost or 0, Source.BILLABLE_UNITS, f"it bills {units} units: {error}")


def _amounts(
    frozen: Frozen, *, outcome: str, quoted_cost: int | None, quoted_price: int | None, units: Decimal | None
) -> Amounts:
    succeeded = outcome == Outcome.SUCCEEDED
    if units is None or (units != 0 and not frozen.unit_prices):
        # Where rule and row speak of different units, billed units say nothing about the price.
        if not succeeded:
            return Amounts(0, 0, Source.NONE)
        return Amounts(_quoted(frozen, quoted_price), quoted_cost or 0, Source.ESTIMATED)
    cost = to_nano(units * frozen.unit_prices[0]) if units else 0
    billed = Billed(subtotal=cost, units=units)
    verdict = judge_bill(frozen, outcome=outcome, quoted_cost=quoted_cost, billed=billed)
    if verdict.is_quarantine:
        charge = _quoted(frozen, quoted_price) if succeeded else 0
        return Amounts(charge, cost, Source.BILLABLE_UNITS, verdict.words)
    charge = charge_of(frozen, outcome=outcome, quoted_cost=quoted_cost, quoted_price=quoted_price, billed=billed)
    source = Source.BILLABLE_UNITS if cost or succeeded else Source.NONE
    return Amounts(charge, cost, source)


def _quoted(frozen: Frozen, quoted_price: int | None) -> int:
    return min(quoted_price or 0, frozen.hold)
