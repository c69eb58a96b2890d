"""Slips in price texts that the row betrays: a lost zero, amounts cut off after two digits."""

from __future__ import annotations

from decimal import ROUND_DOWN, Decimal
from itertools import pairwise

from pricing.money import format_decimal
from pricing.notes.draft import Draft

_FEWEST = 3
# A table of more prices than this is no list of steps that somebody mistyped.
_MOST = 50
_MOST_UNITS = 20


def mend(draft: Draft, unit_price: Decimal | None) -> None:
    """Mend tiers that are whole multiples of the row's price but for a slip; each mending is a remark."""
    amounts = [tier.amount for tier in draft.tiers if tier.amount is not None]
    if (
        unit_price is None
        or unit_price <= 0
        or not _FEWEST <= len(amounts) <= _MOST
        or len(amounts) != len(draft.tiers)
    ):
        return
    if _mend_zero(draft, amounts, unit_price):
        return
    _mend_cut(draft, amounts, unit_price)


def _mend_zero(draft: Draft, amounts: list[Decimal], unit_price: Decimal) -> bool:
    """Ten times too much: without it the amounts rise, with it they do not, and a tenth of it fits the even steps."""
    for place, amount in enumerate(amounts):
        mended = [*amounts[:place], amount / 10, *amounts[place + 1 :]]
        steps = {later - earlier for earlier, later in pairwise(mended)}
        if amounts == sorted(amounts) or mended != sorted(mended) or len(steps) != 1:
            continue
        if any(value % unit_price for value in mended):
            continue
        draft.remarks.append(
            f"{amount} read as {format_decimal(amount / 10)}: the other tiers rise evenly, a zero is lost"
        )
        draft.tiers[place].amount = amount / 10
        return True
    return False


def _mend_cut(draft: Draft, amounts: list[Decimal], unit_price: Decimal) -> None:
    """All amounts are multiples of the row's price, cut off at the digits shown."""
    whole: list[Decimal] = []
    for amount in amounts:
        digits = Decimal(1).scaleb(int(amount.as_tuple().exponent))
        count = int((amount + digits) / unit_price)
        exact = unit_price * count
        if not 1 <= count <= _MOST_UNITS or exact.quantize(digits, rounding=ROUND_DOWN) != amount:
            return
        whole.append(exact)
    if whole == amounts or len(set(whole)) < len(whole):
        return
    shown, meant = (", ".join(format_decimal(value) for value in values) for values in (amounts, whole))
    draft.remarks.append(f"{shown} read as {meant}: multiples of the row's price, cut off")
    for tier, exact in zip(draft.tiers, whole, strict=True):
        tier.amount = exact
