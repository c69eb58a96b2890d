"""Malformed rules are refused with what is wrong and where."""

from typing import Any

import pytest

from pricing.rules.check import BadRule, check_rule, unknown_fields

GOOD: dict[str, Any] = {"version": 1, "charges": [{"name": "images", "price": "0.04", "per": {"of": "outputs"}}]}


def with_charge(**changes: Any) -> dict[str, Any]:
    return {"version": 1, "charges": [{**GOOD["charges"][0], **changes}]}


def test_a_good_rule_comes_back_as_it_was() -> None:
    assert check_rule(GOOD) == GOOD


@pytest.mark.parametrize(
    "price", ["-1", "NaN", "Infinity", "1e9", "", "0.04 USD", 0.04, float("nan"), float("inf"), None, [], "9" * 60]
)
def test_a_price_must_be_a_plain_decimal_string(price: Any) -> None:
    with pytest.raises(BadRule, match="charges/0/price"):
        check_rule(with_charge(price=price))


def test_an_unknown_quantity_is_refused() -> None:
    with pytest.raises(BadRule, match="charges/0/per/of"):
        check_rule(with_charge(per={"of": "gigabytes"}))


@pytest.mark.parametrize("key", ["divide_by", "fps", "to"])
def test_dividing_by_nothing_is_refused(key: str) -> None:
    with pytest.raises(BadRule, match=key):
        check_rule(with_charge(per={"of": "seconds", key: "0.00"}))


def test_a_field_quantity_needs_the_name_of_its_field() -> None:
    with pytest.raises(BadRule, match="per"):
        check_rule(with_charge(per={"of": "field"}))


def test_a_condition_needs_a_subject_and_a_test() -> None:
    with pytest.raises(BadRule, match="when"):
        check_rule(with_charge(when=[{"is": ["720p"]}]))
    with pytest.raises(BadRule, match="when"):
        check_rule(with_charge(when=[{"field": "resolution"}]))


def test_words_that_no_rule_knows_are_refused() -> None:
    with pytest.raises(BadRule, match="discount"):
        check_rule({**GOOD, "discount": "0.1"})


@pytest.mark.parametrize(
    "rule", [None, 5, "rule", [], {}, {"version": 2, "charges": []}, {"version": 1, "charges": []}]
)
def test_what_is_no_rule_at_all_is_refused(rule: Any) -> None:
    with pytest.raises(BadRule):
        check_rule(rule)


def test_a_rule_of_endless_size_is_refused() -> None:
    with pytest.raises(BadRule, match="bytes"):
        check_rule({"version": 1, "charges": [{"name": "x" * 300_000, "price": "1"}]})


def test_a_rule_that_contains_itself_is_refused() -> None:
    rule: dict[str, Any] = {"version": 1}
    rule["charges"] = [rule]
    with pytest.raises(BadRule, match="JSON"):
        check_rule(rule)


def test_fields_that_the_model_does_not_have_are_named() -> None:
    rule = with_charge(
        price=[{"when": [{"field": "resolution", "is": ["4k"]}], "price": "1"}],
        times=[{"of": "length", "field": "loras"}],
        when=[{"fields": ["left_url", "right_url"], "given": True}],
    )
    assert unknown_fields(rule, ["resolution", "left_url"]) == ["loras", "right_url"]
