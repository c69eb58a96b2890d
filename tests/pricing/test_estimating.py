"""Estimates: what outranks what, what is named when nothing is known, and that nothing is ever free."""

from decimal import Decimal
from typing import Any

import pytest

from pricing.counting.requests import Field
from pricing.estimates.costs import Estimate, History, estimate_cost

IMAGES: list[Field] = [{"name": "num_images", "type": "integer", "required": False, "nullable": False, "default": 1}]
RULE = {"version": 1, "charges": [{"name": "images", "price": "0.10", "per": {"of": "outputs"}}]}


def estimate(**changes: Any) -> Estimate:
    asked: dict[str, Any] = {
        "unit": "images",
        "unit_price": Decimal("0.04"),
        "rule": None,
        "inputs": IMAGES,
        "input": {"num_images": 2},
    }
    return estimate_cost(**{**asked, **changes})


def test_a_flat_row_is_multiplied_by_its_units() -> None:
    answer = estimate()
    assert (answer.cost, answer.units, answer.unit, answer.unit_price) == (
        Decimal("0.08"),
        2,
        "images",
        Decimal("0.04"),
    )


def test_the_megapixels_of_each_image_are_paid_for() -> None:
    size = {"width": 1000, "height": 1000}
    fields = [*IMAGES, {"name": "image_size", "type": "object", "required": False, "nullable": False}]
    costs = [
        estimate(unit="megapixels", inputs=fields, input={"image_size": size, "num_images": count}).cost
        for count in (1, 3)
    ]
    assert costs == [Decimal("0.04"), Decimal("0.12")]


def test_an_active_rule_outranks_the_row() -> None:
    assert estimate(rule=RULE).cost == Decimal("0.20")


def test_a_proposed_rule_that_disagrees_with_the_row_only_bounds() -> None:
    answer = estimate(proposed=RULE)
    assert (answer.confidence, answer.low, answer.high) == ("bounded", Decimal("0.08"), Decimal("0.20"))


def test_a_proposed_rule_without_a_price_for_the_request_leaves_it_unknown_and_says_so() -> None:
    never = {"version": 1, "charges": [{"name": "x", "price": "1", "when": [{"field": "num_images", "above": "5"}]}]}
    answer = estimate(proposed=never)
    assert (answer.cost, answer.low, answer.high, answer.confidence) == (None, None, None, "unknown")
    assert answer.missing == ("price text",)
    assert "waits for review" in answer.basis
    assert "the row alone says 0.08 USD" in answer.basis
    assert "0.08" not in answer.reasons


def test_a_proposed_rule_that_agrees_with_the_row_changes_nothing() -> None:
    answer = estimate(proposed=RULE, unit_price=Decimal("0.10"))
    assert (answer.confidence, answer.cost) == ("exact", Decimal("0.20"))


@pytest.mark.parametrize("unit", ["units", "credits", "", "video segments", "gigabytes"])
def test_opaque_and_unknown_units_have_no_estimate(unit: str) -> None:
    answer = estimate(unit=unit)
    assert (answer.cost, answer.low, answer.high, answer.confidence) == (None, None, None, "unknown")


def test_a_row_of_nothing_is_unknown_and_not_free() -> None:
    answer = estimate(unit_price=Decimal(0))
    assert (answer.cost, answer.confidence) == (None, "unknown")
    assert "until a person confirms it" in answer.basis


def test_a_model_without_any_price_says_so() -> None:
    answer = estimate(unit=None, unit_price=None)
    assert (answer.cost, answer.confidence, answer.missing) == (None, "unknown", ("price",))


def test_compute_seconds_are_bounded_by_the_deadline() -> None:
    answer = estimate(unit="compute seconds", unit_price=Decimal("0.00125"), deadline_seconds=Decimal(300))
    assert (answer.confidence, answer.high) == ("bounded", Decimal("0.375"))


def test_compute_seconds_without_a_row_price_use_the_machines() -> None:
    answer = estimate(unit="compute seconds", unit_price=None, machine_type="GPU-H100", deadline_seconds=Decimal(100))
    assert (answer.confidence, answer.high) == ("bounded", Decimal("0.125"))


@pytest.mark.parametrize(
    ("machine", "by_the_hour"), [("H100", "4.50"), ("H200", "4.50"), ("A100", "4.50"), ("B200", "6.25")]
)
def test_an_hour_of_a_gpu_is_bounded_by_its_list_price(machine: str, by_the_hour: str) -> None:
    """A bound may lie a little above the price, never below it."""
    hour = estimate(
        unit="compute seconds", unit_price=None, machine_type=f"GPU-{machine}", deadline_seconds=Decimal(3600)
    )
    assert hour.high is not None
    assert Decimal(by_the_hour) <= hour.high <= Decimal(by_the_hour) * Decimal("1.01")


def test_a_video_of_six_seconds_at_four_and_a_half_cents_costs_twenty_seven() -> None:
    fields: list[Field] = [{"name": "duration", "type": "integer", "required": True, "nullable": False}]
    answer = estimate(unit="seconds", unit_price=Decimal("0.045"), inputs=fields, input={"duration": 6})
    assert (answer.cost, answer.units, answer.confidence) == (Decimal("0.27"), 6, "exact")


def test_compute_seconds_on_a_machine_without_a_price_are_unknown() -> None:
    assert estimate(unit="compute seconds", unit_price=None, machine_type="TPU").confidence == "unknown"


def test_history_fills_in_where_nothing_can_be_derived() -> None:
    history = History(Decimal("0.3"), Decimal("0.2"), Decimal("0.5"), "median of 7 jobs")
    answer = estimate(unit="units", history=history)
    assert (answer.confidence, answer.cost, answer.high) == ("historical", Decimal("0.3"), Decimal("0.5"))


def test_history_does_not_replace_what_can_be_derived() -> None:
    history = History(Decimal("0.3"), None, None, "median of 7 jobs")
    assert estimate(history=history).cost == Decimal("0.08")


def test_history_goes_before_a_mere_bound() -> None:
    history = History(Decimal("0.002"), None, None, "median of 7 jobs")
    assert estimate(unit="compute seconds", history=history).confidence == "historical"


def test_missing_media_facts_are_named() -> None:
    video: Field = {"name": "video_url", "type": "string", "required": True, "nullable": False, "media": "video"}
    answer = estimate(unit="seconds", inputs=[video], input={"video_url": "https://example.com/a.mp4"})
    assert (answer.cost, answer.missing) == (None, ("input_video_seconds",))


def test_choices_that_a_row_keeps_silent_about_make_it_derived_only() -> None:
    fields: list[Field] = [
        {"name": "duration", "type": "string", "required": False, "nullable": False, "default": "5"},
        {"name": "resolution", "type": "string", "required": False, "nullable": False, "enum": ["720p", "1080p"]},
    ]
    answer = estimate(unit="seconds", inputs=fields, input={})
    assert answer.confidence == "derived"
    assert "resolution" in answer.basis
