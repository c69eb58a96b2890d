"""Margin arithmetic: both readings of "70 %", fees and minimums, refusals, invariant M4."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pricing.margins.terms import CORE_TERMS, DEFAULT_TERMS, BadMargin, price_of, read_terms, true_margin
from pricing.money import parse_usd

costs = st.integers(min_value=0, max_value=10**13)
rates = st.decimals(min_value=0, max_value=Decimal("0.99"), places=4)


@pytest.mark.parametrize(
    ("mode", "cost", "price"),
    [
        ("margin", "0.025", "0.083333333"),
        ("markup", "0.025", "0.0425"),
        ("margin", "3.20", "10.666666667"),
        ("markup", "3.20", "5.44"),
    ],
)
def test_seventy_percent_reads_as_margin_or_as_markup(mode: str, cost: str, price: str) -> None:
    assert price_of(parse_usd(cost), read_terms(mode, rate="0.70")) == parse_usd(price)


def test_the_shipped_default_keeps_seventy_percent_of_the_price() -> None:
    cost = parse_usd("0.3")
    margin = true_margin(cost, price_of(cost, DEFAULT_TERMS))
    assert margin is not None
    assert abs(margin - Decimal("0.70")) < Decimal("0.00000001")


def test_the_shipped_default_charges_a_tenth_of_a_cent_at_least() -> None:
    assert price_of(1, DEFAULT_TERMS) == parse_usd("0.001")


@given(costs)
def test_core_mode_adds_nothing(cost: int) -> None:
    assert price_of(cost, CORE_TERMS) == cost


def test_a_fixed_price_ignores_the_cost() -> None:
    terms = read_terms("fixed", fixed_price=parse_usd("0.50"))
    assert {price_of(parse_usd("0.01"), terms), price_of(parse_usd("9"), terms)} == {parse_usd("0.50")}


def test_the_fee_is_added_before_the_minimum_counts() -> None:
    terms = read_terms("markup", rate="1", fee=parse_usd("0.10"), minimum=parse_usd("0.25"))
    assert price_of(parse_usd("0.05"), terms) == parse_usd("0.25")
    assert price_of(parse_usd("0.10"), terms) == parse_usd("0.30")


@given(costs, costs, rates, st.sampled_from(["margin", "markup"]))
def test_m4_a_price_grows_with_its_cost(first: int, second: int, rate: Decimal, mode: str) -> None:
    terms = read_terms(mode, rate=rate)
    low, high = sorted((first, second))
    assert price_of(low, terms) <= price_of(high, terms)


@given(costs, rates, st.sampled_from(["margin", "markup"]))
def test_m4_a_price_is_never_below_its_cost(cost: int, rate: Decimal, mode: str) -> None:
    assert price_of(cost, read_terms(mode, rate=rate)) >= cost


@given(costs, rates)
def test_m4_a_margin_is_never_cheaper_than_the_same_markup(cost: int, rate: Decimal) -> None:
    assert price_of(cost, read_terms("margin", rate=rate)) >= price_of(cost, read_terms("markup", rate=rate))


@pytest.mark.parametrize("rate", ["1", "1.5", 1])
def test_a_margin_of_a_hundred_percent_is_refused(rate: object) -> None:
    with pytest.raises(BadMargin, match="has no price"):
        read_terms("margin", rate=rate)


@pytest.mark.parametrize("rate", ["-0.1", "NaN", "Infinity", float("nan"), "seventy", None, True])
def test_a_rate_that_is_negative_or_no_number_is_refused(rate: object) -> None:
    with pytest.raises(BadMargin, match="rate"):
        read_terms("markup", rate=rate)


def test_a_markup_above_a_hundred_percent_is_allowed() -> None:
    assert price_of(100, read_terms("markup", rate="2.5")) == 350


@pytest.mark.parametrize("name", ["fixed_price", "fee", "minimum"])
def test_negative_amounts_are_refused(name: str) -> None:
    with pytest.raises(BadMargin, match="can't be negative"):
        read_terms("markup", **{name: -1})


def test_an_unknown_mode_is_refused_with_the_known_ones() -> None:
    with pytest.raises(BadMargin, match="margin, markup, fixed"):
        read_terms("percent", rate="0.7")


def test_a_negative_cost_is_refused() -> None:
    with pytest.raises(BadMargin, match="cost can't be negative"):
        price_of(-1, DEFAULT_TERMS)
