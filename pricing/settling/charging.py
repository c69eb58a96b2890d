"""What a client is charged for a bill, by the terms that were frozen with the job."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from pricing.margins.terms import price_of
from pricing.models import Account, UsageRecord
from pricing.money import to_nano
from pricing.settling.frozen import Frozen
from pricing.settling.verdict import Verdict, judge

Outcome = UsageRecord.Outcome


@dataclass(frozen=True, slots=True)
class Billed:
    """What the provider bills for one request. `subtotal` in nano-USD, before the operator's discounts.

    `units` is None where it does not say, `unit` "", `unit_price` (USD) None; the header of a result says units alone.
    """

    subtotal: int
    units: Decimal | None = None
    unit: str = ""
    unit_price: Decimal | None = None


def judge_bill(frozen: Frozen, *, outcome: str, quoted_cost: int | None, billed: Billed) -> Verdict:
    """Whether the bill can be right, by the terms of the job."""
    may_be_less = frozen.is_bound or outcome != Outcome.SUCCEEDED
    return judge(quoted_cost, frozen.units, billed.subtotal, billed.unit, may_be_less=may_be_less)


def charge_of(
    frozen: Frozen, *, outcome: str, quoted_cost: int | None, quoted_price: int | None, billed: Billed
) -> int:
    """The charge in nano-USD that follows from a bill that was judged right.

    It may pass the hold: the ledger charges the hold at most, and books what that leaves of the cost as our loss.

    1. A failure or a cancel costs nothing, unless the provider billed it and the terms pass it on (M8).
    2. Terms `quoted`, and models whose own price stands: the quote, whatever the bill says.
    3. Terms `metered`: the margin rule over billed units × frozen unit price; over the quoted cost where rule and row
       speak of different units; over the bill before discounts where neither is known. Discounts are the operator's:
       the price follows what was used, not what was negotiated, and a later change of the provider's price changes
       nothing (M9).
    """
    if outcome != Outcome.SUCCEEDED and not (_passes_on(frozen, outcome) and billed.subtotal > 0):
        return 0
    metered = frozen.hold if frozen.margin is None else price_of(_basis(frozen, quoted_cost, billed), frozen.margin)
    if quoted_price is not None and (frozen.billing == Account.Billing.QUOTED or frozen.margin is None):
        # A job that did not succeed is never dearer than what was used of it.
        return quoted_price if outcome == Outcome.SUCCEEDED else min(quoted_price, metered)
    return metered


def _passes_on(frozen: Frozen, outcome: str) -> bool:
    return frozen.charges_failures if outcome == Outcome.FAILED else frozen.charges_cancels


def _basis(frozen: Frozen, quoted_cost: int | None, billed: Billed) -> int:
    if frozen.by_rule and quoted_cost is not None:
        return quoted_cost
    if billed.units is None or not frozen.unit_prices:
        return billed.subtotal
    # A provider folds tiers into the count of units, or bills another price of a unit; the frozen ones are known.
    known = billed.unit_price in frozen.unit_prices
    price = billed.unit_price if known and billed.unit_price is not None else frozen.unit_prices[0]
    return to_nano(billed.units * price)
