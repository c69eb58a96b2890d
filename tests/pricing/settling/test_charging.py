"""What a bill is charged: by frozen terms, before discounts."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from pricing.margins.terms import Terms
from pricing.settling.charging import Billed, charge_of, judge_bill
from pricing.settling.frozen import Frozen, read_frozen
from tests.pricing.ledger.books import CENT, USD

METERED = Frozen(
    billing="metered", hold=USD, margin=Terms("markup", Decimal(1)), units=("seconds",), unit_prices=(Decimal("0.01"),)
)
BILL = Billed(subtotal=5 * CENT, units=Decimal(5), unit="seconds", unit_price=Decimal("0.01"))


def charge(frozen: Frozen = METERED, billed: Billed = BILL, **more: Any) -> int:
    asked: dict[str, Any] = {"outcome": "succeeded", "quoted_cost": 4 * CENT, "quoted_price": 8 * CENT}
    return charge_of(frozen, billed=billed, **(asked | more))


def test_a_metered_charge_follows_the_billed_units() -> None:
    assert charge() == 10 * CENT


def test_a_price_that_the_provider_raised_meanwhile_changes_no_charge() -> None:
    dearer = Billed(subtotal=50 * CENT, units=Decimal(5), unit="seconds", unit_price=Decimal("0.10"))
    assert charge(billed=dearer) == 10 * CENT


def test_a_tier_that_is_billed_by_its_own_unit_price_is_charged_by_it() -> None:
    tiered = replace(METERED, unit_prices=(Decimal("0.01"), Decimal("0.02")))
    bill = Billed(subtotal=10 * CENT, units=Decimal(5), unit="seconds", unit_price=Decimal("0.02"))
    assert charge(tiered, bill) == 20 * CENT


def test_where_rule_and_row_speak_of_different_units_the_price_of_the_rule_stands() -> None:
    assert charge(replace(METERED, by_rule=True, unit_prices=())) == 8 * CENT


def test_without_units_the_bill_before_discounts_counts() -> None:
    assert charge(billed=Billed(subtotal=3 * CENT)) == 6 * CENT


def test_quoted_terms_charge_the_quote() -> None:
    assert charge(replace(METERED, billing="quoted")) == 8 * CENT


def test_a_kept_price_stands_whatever_the_bill_says() -> None:
    assert charge(replace(METERED, margin=None)) == 8 * CENT


def test_what_passes_the_hold_is_left_to_the_ledger_which_books_the_loss() -> None:
    assert charge(replace(METERED, hold=3 * CENT)) == 10 * CENT


@pytest.mark.parametrize(
    ("outcome", "terms", "charged"),
    [
        ("failed", {}, 0), ("failed", {"charges_failures": True}, 10 * CENT),
        ("canceled", {}, 10 * CENT), ("canceled", {"charges_cancels": False}, 0),
        ("failed", {"charges_failures": True, "billing": "quoted"}, 8 * CENT),
    ],
)  # fmt: skip
def test_m8_what_did_not_succeed_is_charged_only_where_the_terms_pass_it_on(
    outcome: str, terms: dict[str, Any], charged: int
) -> None:
    assert charge(replace(METERED, **terms), outcome=outcome) == charged


def test_m8_a_cancel_that_the_provider_did_not_bill_costs_nothing() -> None:
    minimum = replace(METERED, margin=Terms("markup", minimum=CENT))
    assert charge(minimum, Billed(subtotal=0, units=Decimal(0)), outcome="canceled") == 0


def test_terms_are_the_same_after_being_stored() -> None:
    assert read_frozen(METERED.as_json()) == METERED
    assert read_frozen(replace(METERED, margin=None, by_rule=True).as_json()).margin is None


def test_a_small_bill_of_a_failure_or_a_bound_is_not_suspicious() -> None:
    nothing = Billed(subtotal=0)
    assert judge_bill(METERED, outcome="succeeded", quoted_cost=CENT, billed=nothing).reason == "too_low"
    assert not judge_bill(METERED, outcome="failed", quoted_cost=CENT, billed=nothing).is_quarantine
    bound = replace(METERED, is_bound=True)
    assert not judge_bill(bound, outcome="succeeded", quoted_cost=CENT, billed=nothing).is_quarantine
