"""Amounts: exact conversion, rounding half up at the nano, refusals."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pricing.money import NotMoney, format_decimal, format_usd, parse_decimal, parse_price, parse_usd, to_nano, to_usd

nanos = st.integers(min_value=-(2**62), max_value=2**62)
prices = st.decimals(min_value=0, max_value=10**6, allow_nan=False, allow_infinity=False, places=18)


@given(nanos)
def test_nano_usd_survive_the_way_to_decimal_and_back(nano: int) -> None:
    assert to_nano(to_usd(nano)) == nano


@given(nanos)
def test_shown_amounts_read_back_as_the_same_amount(nano: int) -> None:
    assert parse_usd(format_usd(nano)) == nano


@given(prices, prices)
def test_rounding_keeps_the_order_of_amounts(first: Decimal, second: Decimal) -> None:
    low, high = sorted((first, second))
    assert to_nano(low) <= to_nano(high)


@given(prices)
def test_rounding_is_off_by_half_a_nano_at_most(amount: Decimal) -> None:
    assert abs(to_usd(to_nano(amount)) - amount) <= Decimal("0.0000000005")


def test_a_half_nano_rounds_up() -> None:
    assert to_nano(Decimal("0.0000000015")) == 2


def test_just_below_a_half_nano_rounds_down() -> None:
    assert to_nano(Decimal("0.00000000149999999999")) == 1


@pytest.mark.parametrize(
    ("value", "text"),
    [("0.0425000", "0.0425"), ("1E-7", "0.0000001"), ("100", "100"), ("-0.00", "0"), ("6.944444E-05", "0.00006944444")],
)
def test_prices_have_one_canonical_string(value: str, text: str) -> None:
    assert format_decimal(Decimal(value)) == text


def test_a_float_is_read_by_the_digits_it_shows() -> None:
    assert parse_decimal(0.1) == Decimal("0.1")


@pytest.mark.parametrize(
    "value", ["NaN", "Infinity", "-Infinity", float("nan"), float("inf"), "", "ten", None, True, []]
)
def test_what_is_no_finite_number_is_refused(value: object) -> None:
    with pytest.raises(NotMoney):
        parse_decimal(value)


def test_a_negative_price_is_refused_by_name() -> None:
    with pytest.raises(NotMoney, match="unit price can't be negative"):
        parse_price("-1", what="unit price")


def test_an_amount_beyond_64_bits_is_refused() -> None:
    with pytest.raises(NotMoney, match="64 bits"):
        to_nano(Decimal(10) ** 12)
