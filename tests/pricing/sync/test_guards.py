"""What a newly read price may do by itself."""

from typing import Any

import pytest

from pricing.models import PricePoint
from pricing.money import NotMoney
from pricing.prices.guards import judge, offered


def now(price: str = "0.10", unit: str = "images", **columns: Any) -> PricePoint:
    return PricePoint(unit_price=price, unit=unit, **({"source": "advertised", "currency": "USD"} | columns))


def kind(current: PricePoint | None, price: str, unit: str = "images", currency: str = "USD") -> str:
    return judge(current, offered(unit, price, currency), source="advertised").kind


@pytest.mark.parametrize(
    ("price", "expected", "alerts"),
    [
        ("0.10", "unchanged", False), ("0.100", "unchanged", False), ("0.104", "changed", False),
        ("0.105", "changed", False), ("0.106", "changed", True), ("0.094", "changed", True),
        ("0.15", "changed", True), ("0.05", "changed", True), ("0.151", "held", False), ("0.049", "held", False),
        ("1.0", "held", False), ("0", "held", False),
    ],
)  # fmt: skip
def test_a_change_is_taken_over_told_or_held_by_its_size(price: str, expected: str, alerts: bool):
    verdict = judge(now(), offered("images", price), source="advertised")
    assert (verdict.kind, verdict.alerts) == (expected, alerts)


def test_the_limits_are_settings(settings):
    settings.PRICE_HOLD_PERCENT, settings.PRICE_ALERT_PERCENT = 2.0, 1.0
    assert kind(now(), "0.103") == "held"
    settings.PRICE_HOLD_PERCENT = 10_000.0
    assert kind(now(), "1.0") == "changed"


def test_a_fall_to_nothing_is_held_whatever_the_limit(settings):
    settings.PRICE_HOLD_PERCENT = 10_000.0
    assert kind(now(), "0") == "held"


@pytest.mark.parametrize("unit", ["megapixels", "", "image"])
def test_another_unit_is_held_even_at_the_same_price(unit: str):
    assert kind(now(), "0.10", unit) == "held"


@pytest.mark.parametrize("unit", ["images", " Images ", "IMAGES"])
def test_a_unit_written_differently_is_the_same_unit(unit: str):
    assert kind(now(), "0.10", unit) == "unchanged"


def test_another_currency_is_held_even_for_a_model_without_a_price():
    assert kind(now(), "0.10", currency="EUR") == "held"
    assert kind(None, "0.10", currency="EUR") == "held"


def test_a_first_price_is_taken_even_if_it_is_nothing():
    assert kind(None, "0.10") == "first"
    assert kind(None, "0") == "first"


def test_a_real_price_follows_an_unknown_one_and_waits_after_a_free_one():
    assert kind(now("0"), "5") == "first"
    assert kind(now("0", is_free=True), "5") == "held"


@pytest.mark.parametrize("source", ["manual", "observed"])
def test_a_price_list_never_touches_what_people_or_bills_say(source: str):
    for price, unit, currency in (("0.10", "images", "USD"), ("9", "seconds", "USD"), ("1", "images", "EUR")):
        assert kind(now(source=source), price, unit, currency) == "kept"


def test_bills_outrank_the_price_list_and_people_outrank_bills():
    new = offered("images", "0.11")
    assert judge(now(), new, source="observed").kind == "changed"
    assert judge(now(source="manual"), new, source="observed").kind == "kept"


@pytest.mark.parametrize("price", ["-1", "NaN", "Infinity", "-0.0001", "cheap", "", None, True, [], "1e400", "1e-90"])
def test_a_price_that_makes_no_sense_is_no_price(price: Any):
    with pytest.raises(NotMoney):
        offered("images", price)


@pytest.mark.parametrize("unit", ["x" * 61, "a\x00b"])
def test_a_unit_that_cannot_be_stored_is_refused(unit: str):
    with pytest.raises(NotMoney):
        offered(unit, "1")
