"""The interpreter of price rules: tiers, toggles, brackets, minimums, multipliers, and total on any input."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pricing.counting.requests import Field
from pricing.rules.check import check_rule
from pricing.rules.interpreter import RuleResult, evaluate


def field(name: str, default: Any = None, **more: Any) -> Field:
    return {"name": name, "type": "any", "required": False, "nullable": True, "default": default, **more}


FIELDS = [
    field("resolution", "720p", enum=["480p", "720p", "1080p", "auto"]),
    field("generate_audio", True),
    field("duration", "5", enum=["5", "10", "auto"]),
    field("num_images", 1),
    field("steps", 1000),
    field("style"),
    field("text", ""),
]


def run(rule: dict[str, Any], given: dict[str, Any] | None = None, media: dict[str, Any] | None = None) -> RuleResult:
    return evaluate(check_rule({"version": 1, **rule}), given or {}, FIELDS, media, unit_price=Decimal("0.07"))


def cost(rule: dict[str, Any], given: dict[str, Any] | None = None, media: dict[str, Any] | None = None) -> str | None:
    found = run(rule, given, media).cost
    return None if found is None else f"{found.normalize():f}"


def by_resolution(**prices: str) -> list[dict[str, Any]]:
    return [
        {"when": [{"field": "resolution", "is": [name.strip("_")]}], "price": price} for name, price in prices.items()
    ]


SECONDS = {
    "charges": [{"name": "seconds", "price": by_resolution(_480p="0.04", _720p="0.08"), "per": {"of": "seconds"}}]
}


def test_a_tier_is_chosen_by_the_default_of_its_field() -> None:
    assert cost(SECONDS) == "0.4"


def test_a_tier_is_chosen_by_the_given_value_in_any_case() -> None:
    assert cost(SECONDS, {"resolution": "480P"}) == "0.2"


def test_a_value_without_a_tier_has_no_price_and_says_so() -> None:
    answer = run(SECONDS, {"resolution": "1080p"})
    assert (answer.cost, answer.confidence) == (None, "unknown")
    assert "no price for resolution '1080p'" in answer.basis


def test_a_choice_left_to_the_model_gives_a_range_and_the_name_of_the_field() -> None:
    answer = run(SECONDS, {"resolution": "auto"})
    assert (answer.cost, answer.low, answer.high) == (None, Decimal("0.20"), Decimal("0.40"))
    assert answer.missing == ("resolution",)


def test_one_price_for_every_choice_needs_no_choice() -> None:
    rule = {"charges": [{"name": "s", "price": by_resolution(_480p="0.1", _720p="0.1"), "per": {"of": "seconds"}}]}
    assert cost(rule, {"resolution": "auto"}) == "0.5"


def test_an_open_length_bounds_the_cost() -> None:
    answer = run(SECONDS, {"duration": "auto"})
    assert (answer.low, answer.high, answer.missing) == (Decimal("0.40"), Decimal("0.80"), ("duration",))


def test_the_rows_price_is_taken_where_the_rule_refers_to_it() -> None:
    assert (
        cost({"charges": [{"name": "images", "price": "unit_price", "per": {"of": "outputs"}}]}, {"num_images": 2})
        == "0.14"
    )


def test_a_switch_that_is_off_or_unset_adds_nothing() -> None:
    rule = {
        "charges": [
            {"name": "base", "price": "1"},
            {"name": "style", "price": "0.5", "when": [{"field": "style", "given": True}]},
        ]
    }
    assert cost(rule) == "1"
    assert cost(rule, {"style": ""}) == "1"
    assert cost(rule, {"style": "clay"}) == "1.5"


def test_a_bracket_takes_the_place_of_the_price_beyond_it() -> None:
    seconds = {"of": "seconds"}
    rule = {
        "charges": [
            {"name": "up to 40 s", "price": "0.2", "when": [{"quantity": seconds, "at_most": "40"}]},
            {"name": "seconds", "price": "0.005", "per": seconds, "when": [{"quantity": seconds, "above": "40"}]},
        ]
    }
    assert cost(rule, media={"output_video_seconds": 40}) == "0.2"
    assert cost(rule, media={"output_video_seconds": 60}) == "0.3"


def test_first_seconds_and_each_further_one() -> None:
    further = {"name": "further", "price": "0.28", "per": {"of": "seconds", "over": "5"}}
    rule = {"charges": [{"name": "first five", "price": "1.40"}, further]}
    assert cost(rule) == "1.4"
    assert cost(rule, {"duration": "10"}) == "2.8"


@pytest.mark.parametrize(
    ("shape", "value", "expected"),
    [
        ({"round": "up"}, "9.4", "10"),
        ({"round": "up", "to": "5"}, "7", "10"),
        ({"round": "up", "to": "5"}, "10", "10"),
        ({"round": "nearest", "to": "15"}, "70", "75"),
        ({"round": "nearest", "to": "15"}, "67.5", "75"),
        ({"round": "down", "to": "10"}, "95", "90"),
        ({"minimum": "4"}, "3", "4"),
        ({"divide_by": "60"}, "90", "1.5"),
        ({"minimum": "4", "round": "up", "to": "3", "over": "2", "divide_by": "2"}, "1", "2"),
    ],
)
def test_quantities_are_shaped_in_the_documented_order(shape: dict[str, str], value: str, expected: str) -> None:
    rule = {"charges": [{"name": "s", "price": "1", "per": {"of": "seconds", **shape}}]}
    assert cost(rule, media={"output_video_seconds": value}) == expected


def test_multipliers_leave_charges_alone_that_fall_due_once() -> None:
    rule = {
        "charges": [
            {"name": "images", "price": "0.15", "per": {"of": "outputs"}},
            {"name": "search", "price": "0.015", "once": True},
        ],
        "multipliers": [{"name": "large", "factor": "2", "when": [{"field": "resolution", "is": ["1080p"]}]}],
    }
    assert cost(rule, {"resolution": "1080p", "num_images": 4}) == "1.215"


def test_a_multiplier_may_grow_with_a_field() -> None:
    grow = {"of": "field", "field": "steps", "minimum": "500", "divide_by": "500"}
    rule = {"charges": [{"name": "run", "price": "1"}], "multipliers": [{"name": "steps", "factor": grow}]}
    assert cost(rule, {"steps": 100}) == "1"
    assert cost(rule, {"steps": 2000}) == "4"


def test_a_multiplier_by_table_refuses_what_the_table_lacks() -> None:
    times = [{"of": "reference_images", "table": {"1": "2.11", "2": "3.44"}}]
    rule = {"charges": [{"name": "steps", "price": "0.01", "per": {"of": "steps"}, "times": times}]}
    assert cost(rule, media={"reference_images": 2}) == "34.4"
    assert cost(rule, media={"reference_images": 9}) is None


def test_an_unknown_factor_leaves_only_the_lower_end() -> None:
    condition = {"field": "style", "given": True}
    rule = {
        "charges": [{"name": "base", "price": "1"}],
        "multipliers": [{"name": "style", "factor": "unknown", "when": [condition]}],
    }
    answer = run(rule, {"style": "clay"})
    assert (answer.cost, answer.low, answer.high, answer.missing) == (None, 1, None, ("style",))


def test_the_least_charge_of_a_rule_holds() -> None:
    assert cost({"charges": [{"name": "image", "price": "0.01"}], "minimum": "0.05"}) == "0.05"


def test_a_rule_that_never_matches_names_no_price() -> None:
    rule = {"charges": [{"name": "x", "price": "1", "when": [{"field": "resolution", "is": ["8k"]}]}]}
    answer = run(rule)
    assert (answer.cost, answer.low, answer.high, answer.confidence) == (None, None, None, "unknown")
    assert "no price for this request" in answer.basis


def test_the_basis_tells_price_count_and_where_they_are_from() -> None:
    assert run(SECONDS).basis == "seconds: 0.08 USD (resolution 720p) × 5 (duration 5)"


def test_units_and_price_explain_the_cost() -> None:
    answer = run(SECONDS)
    assert answer.units is not None
    assert answer.price is not None
    assert answer.units * answer.price == answer.cost


@given(st.integers(1, 10_000), st.integers(1, 10_000))
def test_a_cost_grows_with_its_units(first: int, second: int) -> None:
    rule = {"charges": [{"name": "steps", "price": "0.002", "per": {"of": "steps", "minimum": "250"}}]}
    low, high = sorted((first, second))
    costs = [run(rule, {"steps": count}).cost or 0 for count in (low, high)]
    assert costs[0] <= costs[1]


@given(st.decimals(min_value="0.001", max_value=500, places=3), st.sampled_from(["1", "2", "5", "30"]))
def test_rounding_up_charges_less_than_one_block_too_much(seconds: Decimal, block: str) -> None:
    rule = {"charges": [{"name": "s", "price": "1", "per": {"of": "seconds", "round": "up", "to": block}}]}
    charged = run(rule, media={"output_video_seconds": seconds}).cost
    assert charged is not None
    assert 0 <= charged - seconds < Decimal(block)


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["auto", "720p", "5s"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["width", "height", "text"]), inner),
    max_leaves=6,
)
RICH = {
    "charges": [
        {"name": "s", "price": by_resolution(_480p="0.04", _720p="0.08"), "per": {"of": "seconds", "fps": "16"}},
        {"name": "t", "price": "0.1", "per": {"of": "characters", "divide_by": "1000"}, "times": [{"of": "outputs"}]},
        {
            "name": "u",
            "price": "0.1",
            "when": [{"field": "steps", "above": "10"}],
            "per": {"of": "field", "field": "steps"},
        },
        {"name": "v", "price": "0.1", "per": {"of": "length", "field": "style"}, "once": True},
    ],
    "multipliers": [{"name": "m", "factor": "2", "when": [{"field": "generate_audio", "is": [True]}]}],
}


@settings(max_examples=300)
@given(st.dictionaries(st.sampled_from([item["name"] for item in FIELDS]), json_values))
def test_evaluation_is_total_and_never_free(given: dict[str, Any]) -> None:
    answer = run(RICH, given)
    assert answer.cost is None or answer.cost > 0
    assert answer.cost is not None or answer.confidence == "unknown"
