"""Quotes: cost, price and hold of a request, frozen with the terms behind them."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import orjson
import pytest
from django.utils import timezone

from catalog.models import AIModel
from genfeed.clients.models import Client
from pricing.estimates import history
from pricing.estimates.quotes import InputRefusedError, Quote, quote, times
from pricing.margins.book import load_book
from pricing.margins.terms import price_of, read_terms
from pricing.models import ExistingModel, MarginRule, ModelPricing, PricePoint, ProviderEstimate
from tests.pricing.estimates.sold import (
    AUDIO_URL,
    DURATION,
    NUM_IMAGES,
    PROMPT,
    RESOLUTION,
    facts_about,
    field,
    make_sold,
)
from tests.pricing.selling.priced import add_rule

pytestmark = pytest.mark.django_db

TIERS = {
    "version": 1,
    "charges": [
        {
            "name": "seconds",
            "per": {"of": "seconds"},
            "price": [
                {"when": [{"field": "resolution", "is": ["480p"]}], "price": "0.05"},
                {"when": [{"field": "resolution", "is": ["720p"]}], "price": "0.10"},
                {"when": [{"field": "resolution", "is": ["1080p"]}], "price": "0.15"},
            ],
        }
    ],
}


def quoted(model: AIModel, given: Any, **options: Any) -> Quote:
    return quote(facts_about(model), given, **options)


def test_the_cost_is_units_times_unit_price_and_the_price_follows_by_the_margin() -> None:
    found = quoted(make_sold(unit_price="0.025"), {"prompt": "a", "num_images": 2})

    assert (found.cost, found.price) == (50_000_000, 166_666_667)
    assert (found.units, found.unit, found.unit_price, found.confidence) == ("2", "images", "0.025", "exact")


@pytest.mark.once
@pytest.mark.parametrize(("mode", "price"), [("margin", "83333333"), ("markup", "42500000")])
def test_seventy_percent_can_be_read_both_ways(mode: str, price: str) -> None:
    model = make_sold(unit_price="0.025")
    add_rule("model", model_id=model.pk, mode=mode, rate="0.70")

    assert quoted(model, {"prompt": "a"}, book=load_book()).price == int(price)


@pytest.mark.once
def test_in_core_mode_the_price_is_the_cost_without_a_minimum(settings: Any) -> None:
    model = make_sold(unit_price="0.0001")
    settings.GENFEED_MODE = "core"

    found = quoted(model, {"prompt": "a"}, book=load_book())

    assert found.price == found.cost == 100_000


@pytest.mark.once
def test_a_small_charge_is_lifted_to_the_minimum() -> None:
    assert quoted(make_sold(unit_price="0.00001"), {"prompt": "a"}).price == 1_000_000


@pytest.mark.once
def test_a_client_has_its_own_terms() -> None:
    model = make_sold(unit_price="0.10")
    client = Client.objects.create(name="Friend")
    rule = add_rule("client", client_id=client.pk, mode="markup", rate="0.10")

    found = quoted(model, {"prompt": "a"}, book=load_book(), client_id=client.pk)

    assert (found.price, found.margin_rule) == (110_000_000, rule.pk)
    assert quoted(model, {"prompt": "a"}, book=load_book()).price == 333_333_333


@pytest.mark.once
def test_no_quote_has_a_price_that_is_not_made_of_its_cost_and_its_margin() -> None:
    """M4."""
    model = make_sold(unit_price="0.0137")
    add_rule("category", category="text-to-image", mode="markup", rate="0.31", fee="0.002", minimum="0.04")

    for count in (1, 2, 3, 4):
        found = quoted(model, {"prompt": "a", "num_images": count}, book=load_book())
        terms = read_terms(**{**found.margin, "rate": Decimal(found.margin["rate"])})
        assert found.cost is not None
        assert found.price == price_of(found.cost, terms)


@pytest.mark.once
def test_defaults_of_the_schema_are_applied() -> None:
    model = make_sold("fal-ai/veo", "0.1", "seconds", inputs=[PROMPT, DURATION, RESOLUTION], rule=TIERS)

    assert quoted(model, {"prompt": "a"}).cost == 500_000_000
    assert quoted(model, {"prompt": "a", "duration": "10", "resolution": "1080p"}).cost == 1_500_000_000


@pytest.mark.once
def test_everything_wrong_with_an_input_is_named() -> None:
    with pytest.raises(InputRefusedError) as caught:
        quoted(make_sold(), {"promt": "a", "num_images": 9}, media={"input_seconds": 5, "input_fps": -1})

    found = {problem.path: problem.code for problem in caught.value.problems}
    assert found == {
        "promt": "unknown_field",
        "prompt": "missing",
        "num_images": "too_large",
        "media.input_seconds": "unknown_field",
        "media.input_fps": "not_a_number",
    }


@pytest.mark.once
@pytest.mark.parametrize(
    "value", [float("nan"), float("inf"), float("-inf"), "NaN", "Infinity", True, [], {}, "five", -0.1, 1e300]
)
def test_a_media_fact_that_is_no_sane_number_is_refused(value: Any) -> None:
    with pytest.raises(InputRefusedError, match=r"media\.input_fps"):
        quoted(make_sold(), {"prompt": "a"}, media={"input_fps": value})


@pytest.mark.once
@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_an_input_with_a_number_that_is_none_is_refused(value: float) -> None:
    with pytest.raises(InputRefusedError, match="num_images"):
        quoted(make_sold(), {"prompt": "a", "num_images": value})


@pytest.mark.once
def test_an_unset_fact_counts_as_unknown() -> None:
    model = make_sold("fal-ai/asr", "0.01", "seconds", inputs=[AUDIO_URL])
    given = {"audio_url": "https://example.com/a.mp3"}

    found = quoted(model, given, media={"input_audio_seconds": None})

    assert (found.confidence, found.missing) == ("unknown", ("input_audio_seconds",))
    assert quoted(model, given, media={"input_audio_seconds": 30}).cost == 300_000_000


@pytest.mark.once
@pytest.mark.parametrize("unit", ["units", "credits", "", "gigabytes"])
def test_what_is_unknown_is_never_nothing(unit: str) -> None:
    found = quoted(make_sold(unit=unit), {"prompt": "a"})

    assert (found.confidence, found.cost, found.price, found.low, found.high) == ("unknown", None, None, None, None)
    assert found.missing


@pytest.mark.once
def test_a_row_of_nothing_is_unknown_until_a_person_says_that_it_is_free() -> None:
    model = make_sold(unit_price="0")
    assert quoted(model, {"prompt": "a"}).price is None

    PricePoint.objects.filter(model=model).update(is_free=True)

    found = quoted(model, {"prompt": "a"})
    assert (found.cost, found.price, found.confidence) == (0, 1_000_000, "exact")


@pytest.mark.once
def test_computing_time_is_bounded_by_the_deadline_of_its_kind() -> None:
    found = quoted(make_sold(unit="compute seconds", unit_price="0.001"), {"prompt": "a"})

    assert (found.confidence, found.cost, found.cost_high, found.cost_low) == ("bounded", 60_000_000, 60_000_000, None)


def test_what_the_provider_says_of_past_calls_goes_before_a_bound() -> None:
    model = make_sold(unit="compute seconds", unit_price="0.001")
    ProviderEstimate.objects.create(model=model, cost=4_000_000)

    found = quoted(model, {"prompt": "a"})

    assert (found.confidence, found.cost, found.cost_high) == ("historical", 4_000_000, 12_000_000)
    assert quoted(model, {"prompt": "a"}, history=False).confidence == "bounded"


@pytest.mark.once
@pytest.mark.parametrize(
    ("unit", "inputs", "lacks"),
    [
        ("megapixels", [PROMPT, field("aspect_ratio", enum=["1:1", "16:9"], default="16:9")], "output size"),
        ("1000 tokens", [PROMPT], "output tokens"),
    ],
)
def test_units_that_no_request_tells_are_quoted_by_what_past_calls_have_cost(
    unit: str, inputs: list[Any], lacks: str
) -> None:
    model = make_sold(unit=unit, unit_price="0.019", inputs=inputs)
    before = quoted(model, {"prompt": "a"})
    ProviderEstimate.objects.create(model=model, cost=4_000_000)
    history.forget()

    found = quoted(model, {"prompt": "a"})

    assert (before.confidence, before.price, before.missing) == ("unknown", None, (lacks,))
    assert (found.confidence, found.cost, found.cost_high) == ("historical", 4_000_000, 12_000_000)
    assert model.enabled


@pytest.mark.once
def test_the_words_for_clients_name_no_cost() -> None:
    model = make_sold("fal-ai/veo", "0.1", "seconds", inputs=[PROMPT, DURATION, RESOLUTION], rule=TIERS)
    found = quoted(model, {"prompt": "a"})

    assert "0.1 USD" in found.basis
    assert "USD" not in found.reasons
    assert "duration 5" in found.reasons


def test_a_quote_is_stored_as_json_and_read_again() -> None:
    found = quoted(make_sold(), {"prompt": "a"}, media={"input_fps": "23.976"})

    stored = orjson.loads(orjson.dumps(found.as_json()))

    assert Quote.of_json(stored) == found


def test_a_quote_does_not_change_with_later_prices() -> None:
    """M9, as far as quotes go."""
    model = make_sold(unit_price="0.025")
    before = quoted(model, {"prompt": "a"})
    kept = before.as_json()
    PricePoint.objects.filter(model=model).update(unit_price="0.5")
    MarginRule.objects.create(scope="global", mode="markup", rate="9", starts_at=timezone.now() - timedelta(days=1))

    assert Quote.of_json(kept).price == before.price == 83_333_333


@pytest.mark.once
def test_many_runs_cost_many_times_as_much() -> None:
    found = times(quoted(make_sold(unit_price="0.025"), {"prompt": "a"}), 1000)

    assert (found.cost, found.price, found.high) == (25_000_000_000, 83_333_333_000, 83_333_333_000)


@pytest.mark.once
def test_an_absurd_price_is_unknown() -> None:
    found = quoted(make_sold(unit_price="99999999999999"), {"prompt": "a", "num_images": 4})

    assert (found.price, found.confidence) == (None, "unknown")
    assert "no sane price" in found.basis


@pytest.mark.once
@pytest.mark.parametrize(
    ("pricing", "price"),
    [
        ({"fixedPrice": "0.30"}, 300_000_000),
        ({"image": "0.05"}, 100_000_000),
        ({"image": "0.05", "fixedPrice": "0.30"}, 300_000_000),
        ({"input": "5", "output": "15"}, None),
    ],
)
def test_the_price_of_an_existing_model_stands_whatever_it_costs(pricing: dict[str, str], price: int | None) -> None:
    model = make_sold(inputs=[PROMPT, NUM_IMAGES], unit_price="0.025")
    ExistingModel.objects.create(
        legacy_id="flux", provider_name="fal", name="Flux", pricing=pricing, model=model, keeps_price=True
    )

    found = quoted(model, {"prompt": "a", "num_images": 2})

    assert (found.price, found.cost) == (price, 50_000_000)
    assert (found.confidence == "unknown") is (price is None)


@pytest.mark.once
def test_a_default_request_is_bounded_as_its_quote_is() -> None:
    """The price that lists and choices show of computing time must be that of a quote of the same request."""
    model = make_sold(unit_price="0.001", unit="compute seconds")
    found = quoted(model, {"prompt": "a"})
    assert (found.confidence, found.cost) == ("bounded", 60_000_000)
    assert ModelPricing.objects.get(model=model).default_cost == found.cost
