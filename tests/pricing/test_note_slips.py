"""Slips in price texts are mended where the row betrays them, and only in lists that a person would write."""

from decimal import Decimal

import pytest

from pricing.notes.draft import Draft, Tier
from pricing.notes.slips import mend


def draft_with_a_lost_zero(steps: int) -> Draft:
    """Amounts that rise by 0.1, of which one is ten times too much."""
    amounts = [Decimal(number) / 10 for number in range(1, steps + 1)]
    amounts[1] *= 10
    draft = Draft()
    draft.tiers = [Tier(amount) for amount in amounts]
    return draft


def test_a_lost_zero_is_put_back_and_said() -> None:
    draft = draft_with_a_lost_zero(5)
    mend(draft, Decimal("0.1"))
    assert draft.tiers[1].amount == Decimal("0.2")
    assert draft.remarks == ["2.0 read as 0.2: the other tiers rise evenly, a zero is lost"]


@pytest.mark.parametrize(("steps", "mended"), [(2, False), (50, True), (51, False)])
def test_neither_two_prices_nor_a_heap_of_them_are_mended(steps: int, mended: bool) -> None:
    draft = draft_with_a_lost_zero(steps)
    mend(draft, Decimal("0.1"))
    assert bool(draft.remarks) is mended
