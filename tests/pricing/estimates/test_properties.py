"""Whatever is asked: more of something never costs less, and bounds enclose what they bound."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from catalog.schemas.examples import example_input
from catalog.validating.model_input import Understood
from pricing.counting.requests import MEDIA_FACTS, as_number
from pricing.counting.units import is_derivable
from pricing.estimates.facts import Facts
from pricing.estimates.quotes import Quote, check_request, quote_checked
from pricing.margins.book import Applied, RuleBook
from pricing.margins.terms import CORE_TERMS, read_terms
from tests.pricing.estimates.sold import DURATION, NUM_IMAGES, PROMPT, schema_of
from tests.pricing.recorded_prices import fields_of, price_row, reading, recorded
from tests.recorded import requires_recorded

AT_COST = RuleBook({("global", None): Applied(CORE_TERMS, None, "")}, frozenset())
_COUNTS = ("num_images", "num_frames", "duration", "steps", "number_of_steps", "num_samples")


def facts(**changes: Any) -> Facts:
    values: dict[str, Any] = {
        "pk": 1, "endpoint_id": "m/any", "provider": "fal", "provider_id": 1, "name": "Any", "category": "c",
        "media_type": "image", "kind": "inference", "enabled": True, "held_reason": "", "schema_version": 1,
        "upstream_version": "", "inputs": [PROMPT, NUM_IMAGES, DURATION], "capabilities": [], "limits": {},
        "metadata": {}, "unit": "images", "unit_price": Decimal("0.01"), "price_source": "advertised", "is_free": False,
        "rule": None, "rule_source": "", "proposed": None, "billed_in": "", "machine_type": "", "quality": "",
        "legacy_pricing": {}, "price": {},
    }  # fmt: skip
    values |= changes
    inputs = values.pop("inputs")
    return Facts(schema=Understood(inputs, [], schema_of(inputs)), **values)


def quoted(
    about: Facts, filled: dict[str, Any], media: dict[str, Any] | None = None, book: RuleBook = AT_COST
) -> Quote:
    return quote_checked(about, filled, media=media, book=book, history=False)


@given(st.integers(1, 4), st.integers(1, 4), st.decimals("0.000001", "100", places=6))
def test_more_images_never_cost_less(one: int, other: int, unit_price: Decimal) -> None:
    about = facts(unit_price=unit_price)
    fewer, more = sorted((one, other))
    low, high = (quoted(about, {"prompt": "a", "num_images": count}).price for count in (fewer, more))
    assert low is not None
    assert high is not None
    assert low <= high


@given(
    st.sampled_from(["margin", "markup"]),
    st.decimals("0", "0.99", places=4),
    st.integers(0, 10**9),
    st.integers(0, 10**9),
    st.integers(1, 4),
)
def test_by_any_terms_the_price_covers_the_cost(mode: str, rate: Decimal, fee: int, minimum: int, count: int) -> None:
    terms = read_terms(mode, rate=rate, fee=fee, minimum=minimum)
    book = RuleBook({("global", None): Applied(terms, 1, "")}, frozenset())
    found = quoted(facts(), {"prompt": "a", "num_images": count}, book=book)
    assert found.price is not None
    assert found.cost is not None
    assert found.price >= max(found.cost, minimum)


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(
    st.dictionaries(st.sampled_from(MEDIA_FACTS), st.decimals("0", "1000000", places=3), max_size=4),
    st.sampled_from(
        ["seconds", "megapixels", "images", "1000 characters", "units", "compute seconds", "frames", "5 seconds"]
    ),
    st.integers(1, 4),
)
def test_bounds_enclose_the_price_and_nothing_is_free(media: dict[str, Any], unit: str, count: int) -> None:
    found = quoted(facts(unit=unit), {"prompt": "a", "num_images": count}, media)
    assert (found.price is None) is (found.confidence == "unknown")
    assert (found.cost is None) is (found.price is None)
    if found.cost is not None and found.price is not None and found.high is not None:
        assert found.cost > 0
        assert (found.low or 0) <= found.price <= found.high


@given(st.integers(0, 5000), st.integers(0, 5000))
def test_a_longer_text_never_costs_less(one: int, other: int) -> None:
    about = facts(unit="1000 characters", inputs=[{"name": "text", "type": "string", "required": True}])
    shorter, longer = sorted((one, other))
    low, high = (quoted(about, {"text": "x" * length}).cost for length in (shorter, longer))
    assert low is None or high is None or low <= high


def _facts_of(endpoint_id: str) -> Facts:
    row, texts = recorded()[endpoint_id], reading(endpoint_id)
    flat = price_row(row)
    return facts(
        inputs=fields_of(endpoint_id),
        unit=flat.unit if flat else None,
        unit_price=flat.unit_price if flat else None,
        rule=texts.rule if texts.state == "active" else None,
        proposed=texts.rule if texts.state == "proposed" else None,
        billed_in=texts.billed_in or "",
        machine_type=row["machine_type"] or "",
        metadata=row["metadata"] or {},
    )


@requires_recorded
def test_the_words_for_clients_of_recorded_models_hold_no_amount() -> None:
    told = 0
    for endpoint_id in recorded():
        about = _facts_of(endpoint_id)
        found = quoted(about, example_input(about.inputs))
        assert "USD" not in found.reasons, endpoint_id
        assert "$" not in found.reasons, endpoint_id
        told += found.price is not None
    assert told > 700


@requires_recorded
@pytest.mark.parametrize("name", _COUNTS)
def test_for_recorded_models_more_of_a_count_never_costs_less(name: str) -> None:
    tried = 0
    for endpoint_id in recorded():
        about = _facts_of(endpoint_id)
        item = next((item for item in about.inputs if item["name"] == name), None)
        if item is None or not (about.rule or (about.unit and is_derivable(about.unit))):
            continue
        lowest, highest = item.get("minimum"), item.get("maximum")
        choices = item.get("enum") or ([lowest, highest] if lowest is not None and highest is not None else [])
        numbers = sorted((number, value) for value in choices if (number := as_number(value)) is not None)
        if len(numbers) < 2:
            continue
        base = example_input(about.inputs)
        costs = [quoted(about, {**base, name: value}).cost for _, value in numbers]
        known = [cost for cost in costs if cost is not None]
        assert known == sorted(known), (endpoint_id, numbers, costs)
        tried += len(known) > 1
    assert tried > 0


@pytest.mark.parametrize("value", [1, 2, 3, 4])
def test_the_defaults_that_are_filled_in_change_no_cost(value: int) -> None:
    about = facts()
    given_all = check_request(about, {"prompt": "a", "num_images": value, "duration": "5"})
    assert (
        quoted(about, given_all).cost == quoted(about, check_request(about, {"prompt": "a", "num_images": value})).cost
    )
