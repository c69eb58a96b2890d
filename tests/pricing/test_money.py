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


@pytest.mark.parametrize(
    "value",
    ["1e999999999", "1e-999999999", "1e41", "1e-41", "9" * 5000, "0." + "0" * 5000 + "1", "0e-999999999" + "0" * 99,
     Decimal("1e-999999999")],
)  # fmt: skip
def test_a_number_that_nobody_means_is_refused_before_it_is_written_out(value: object) -> None:
    with pytest.raises(NotMoney, match="what is sent") as refused:
        parse_decimal(value, what="what is sent")
    assert len(str(refused.value)) < 300


def test_an_integer_of_thousands_of_digits_is_refused() -> None:
    with pytest.raises(NotMoney, match="too long for a number"):
        parse_decimal(10**5000)


@pytest.mark.parametrize("value", ["1_000", "٣", "１", "0x10", "1,5", "1e", "--1"])
def test_only_plain_digits_are_a_number(value: str) -> None:
    with pytest.raises(NotMoney, match="is no number"):
        parse_decimal(value)


@pytest.mark.parametrize("value", ["0e-999999999", "-0", "0.000", 0])
def test_nothing_is_one_zero_however_it_is_written(value: object) -> None:
    assert format_decimal(parse_decimal(value)) == "0"


@pytest.mark.parametrize(("value", "number"), [("+.5", "0.5"), ("5.", "5"), (" 1E-7 ", "0.0000001"), ("2e3", "2000")])
def test_the_usual_ways_of_writing_a_number_are_read(value: str, number: str) -> None:
    assert format_decimal(parse_decimal(value)) == number


def test_a_negative_price_is_refused_by_name() -> None:
    with pytest.raises(NotMoney, match="unit price can't be negative"):
        parse_price("-1", what="unit price")


def test_an_amount_beyond_64_bits_is_refused() -> None:
    with pytest.raises(NotMoney, match="64 bits"):
        to_nano(Decimal(10) ** 12)
