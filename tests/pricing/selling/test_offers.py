"""Offers: what lists show of a price, in which unit and state, and whether a model may be sold."""

from decimal import Decimal
from typing import Any

import pytest

from catalog.models import AIModel, CatalogState
from genfeed.journal.models import OutboxEvent
from pricing.margins.terms import DEFAULT_TERMS
from pricing.models import ExistingModel, ModelPricing, PricePoint, PriceRule, ProviderEstimate, SellingPrice
from pricing.selling import offers, standing
from pricing.selling.prices import offer_of
from pricing.selling.standing import Standing
from tests.factories import make_model, make_schema_version
from tests.pricing.selling.priced import add_rule, make_priced, recompute

pytestmark = pytest.mark.django_db

TIERS = {
    "version": 1,
    "charges": [
        {
            "name": "seconds",
            "price": [
                {"when": [{"field": "resolution", "is": ["1080p"]}], "price": "0.2"},
                {"when": [{"field": "resolution", "is": ["720p"]}], "price": "0.1"},
            ],
            "per": {"of": "seconds"},
        }
    ],
}
VIDEO_INPUTS: list[dict[str, Any]] = [
    {"name": "prompt", "type": "string", "required": True, "nullable": False},
    {
        "name": "resolution", "type": "string", "required": False, "nullable": False, "default": "720p",
        "enum": ["720p", "1080p"],
    },
    {"name": "duration", "type": "integer", "required": False, "nullable": False, "default": 5},
]  # fmt: skip


def make_video(endpoint_id: str, unit: str, unit_price: str, **more: Any) -> AIModel:
    """A text-to-video model of five seconds at 720p."""
    inputs = more.pop("inputs", VIDEO_INPUTS)
    model = make_priced(endpoint_id, unit_price, unit, category="text-to-video", media_type="video", **more)
    version = model.schema_versions.get()
    version.delete()
    content = {"document": {}, "input_schema": {"type": "object"}, "output_schema": {}, "inputs": inputs, "outputs": []}
    make_schema_version(model, content=version.pack(content))
    recompute(model)
    model.refresh_from_db()
    return model


def price(amount: str | None, unit: str | None, state: str = "advertised", *, varies: bool = False) -> dict[str, Any]:
    return {"amount": amount, "unit": unit, "currency": "USD", "state": state, "varies": varies}


def test_a_price_per_image_is_shown_for_one_image() -> None:
    model = make_priced("fal-ai/flux/dev", "0.025", "images")

    assert model.price == price("0.083333333", "images", varies=True)  # num_images changes the number of units
    assert (model.legacy_pricing, model.priced, model.enabled) == ({"image": 0.083333333}, True, True)


@pytest.mark.once
def test_the_minimum_falls_due_once_a_charge_and_is_not_in_the_price_of_a_unit() -> None:
    model = make_priced("fal-ai/tiny", "0.0001", "images")

    assert model.price["amount"] == "0.000333333"
    assert model.legacy_pricing == {"image": 0.001}


@pytest.mark.once
def test_a_fee_is_in_the_price_of_a_charge_only() -> None:
    add_rule(mode="markup", rate="1", fee="0.01")
    model = make_priced("fal-ai/flux/dev", "0.025", "images")

    assert (model.price["amount"], model.legacy_pricing) == ("0.05", {"image": 0.06})


@pytest.mark.once
def test_a_fixed_price_is_one_of_a_request_whatever_the_provider_counts_in() -> None:
    model = make_video("fal-ai/veo", "seconds", "0.4")
    add_rule("model", model_id=model.pk, mode="fixed", rate="0", fixed_price="3")
    model.refresh_from_db()

    assert model.price == price("3", "requests")
    assert model.legacy_pricing == {"fixedPrice": 3.0}


@pytest.mark.once
def test_a_video_s_legacy_price_is_that_of_one_second() -> None:
    assert make_video("fal-ai/veo", "videos", "1.5").legacy_pricing == {"video": 1.0}


@pytest.mark.once
def test_a_video_priced_by_the_second_needs_no_length_for_that() -> None:
    inputs = [{"name": "video_url", "type": "string", "required": True, "nullable": False, "media": "video"}]
    model = make_video("fal-ai/upscale", "seconds", "0.3", inputs=inputs)

    assert model.pricing.default_confidence == "unknown"
    assert model.pricing.default_missing == ["input_video_seconds"]
    assert (model.price["amount"], model.legacy_pricing) == ("1", {"video": 1.0})


@pytest.mark.once
def test_a_rule_with_tiers_is_shown_as_it_applies_to_the_default_request() -> None:
    model = make_video("fal-ai/tiers", "seconds", "0.05", rule=TIERS)

    assert model.price == price("0.333333333", "seconds", "ruled", varies=True)
    assert (model.pricing.default_cost, model.pricing.default_confidence) == (500_000_000, "exact")
    assert model.legacy_pricing == {"video": 0.333333333}


@pytest.mark.once
def test_a_rule_of_several_charges_is_shown_by_the_request() -> None:
    rule = {
        "version": 1,
        "charges": [
            {"name": "base", "price": "0.10"},
            {"name": "seconds", "price": "0.04", "per": {"of": "seconds"}},
        ],
    }
    model = make_video("fal-ai/base", "seconds", "0.05", rule=rule)

    assert model.price == price("1", "requests", "ruled", varies=True)


@pytest.mark.once
def test_what_makes_something_other_than_media_has_a_fixed_legacy_price() -> None:
    model = make_priced("fal-ai/3d", "0.3", "generations", category="image-to-3d", media_type="3d")

    assert model.legacy_pricing == {"fixedPrice": 1.0}


@pytest.mark.once
def test_a_training_makes_no_image_and_has_a_fixed_price() -> None:
    model = make_priced("fal-ai/train", "0.3", "trainings", category="training", kind="training")

    assert (model.price, model.legacy_pricing) == (price("1", "trainings"), {"fixedPrice": 1.0})


@pytest.mark.once
def test_tokens_of_text_are_told_by_the_million() -> None:
    model = make_priced("fal-ai/llm", "0.0003", "1000 tokens", category="llm", media_type="text")

    assert model.legacy_pricing == {"input": 1.0, "output": 1.0}


@pytest.mark.once
def test_compute_seconds_are_sold_by_the_second_and_claim_no_price_of_an_image() -> None:
    model = make_priced("fal-ai/esrgan", "0.0003", "compute seconds")

    assert model.price == price("0.001", "compute seconds", varies=True)
    assert (model.priced, model.legacy_pricing, model.pricing.default_confidence) == (True, {}, "bounded")


@pytest.mark.once
@pytest.mark.parametrize("unit", ["units", "credits", "", "video segments", "moon phases"])
def test_an_opaque_unit_is_not_sold(unit: str) -> None:
    model = make_priced("fal-ai/opaque", "1", unit)

    assert (model.priced, model.enabled, model.held_reason) == (False, False, "unpriced")
    assert model.legacy_pricing == {}


@pytest.mark.once
@pytest.mark.parametrize("source", ["manual", "observed"])
def test_an_opaque_unit_with_a_price_that_we_know_ourselves_is_sold(source: str) -> None:
    model = make_priced("fal-ai/opaque", "0.3", "units", source=source)

    assert (model.priced, model.price["state"]) == (True, source)


@pytest.mark.once
def test_an_opaque_unit_with_an_active_rule_is_sold() -> None:
    rule = {"version": 1, "charges": [{"name": "images", "price": "0.03", "per": {"of": "outputs"}}]}
    model = make_priced("fal-ai/opaque", "1", "units", rule=rule)

    assert (model.priced, model.price) == (True, price("0.1", "images", "ruled", varies=True))


@pytest.mark.once
def test_a_proposed_rule_sells_nothing() -> None:
    model = make_model("fal-ai/opaque")
    rule = {"version": 1, "charges": [{"name": "images", "price": "0.03", "per": {"of": "outputs"}}]}
    PriceRule.objects.create(model=model, source="note", state="proposed", body=rule)
    recompute(model)
    model.refresh_from_db()

    assert (model.priced, model.price) == (False, price(None, None, "unknown"))


@pytest.mark.once
def test_a_row_of_nothing_is_unknown_until_a_person_says_that_it_is_free() -> None:
    model = make_priced("fal-ai/zero", "0", "images")

    assert (model.price, model.legacy_pricing, model.priced) == (price(None, None, "unknown"), {}, False)


@pytest.mark.once
def test_a_confirmed_free_model_is_sold_at_the_minimum() -> None:
    model = make_priced("fal-ai/free", "0", "images", is_free=True)

    assert (model.price["amount"], model.priced, model.pricing.default_cost) == ("0", True, 0)
    assert model.legacy_pricing == {"image": 0.001}


@pytest.mark.once
def test_a_model_without_any_price_is_held_in_cloud_mode() -> None:
    model = make_model("fal-ai/none")
    recompute(model)
    model.refresh_from_db()

    assert (model.price, model.priced, model.held_reason) == (price(None, None, "unknown"), False, "unpriced")


@pytest.mark.once
def test_core_mode_shows_the_cost_and_offers_models_without_a_price(settings: Any) -> None:
    settings.GENFEED_MODE = "core"
    model, other = make_priced("fal-ai/flux/dev", "0.025", "images"), make_model("fal-ai/none")
    recompute(other)

    assert (model.price["amount"], model.legacy_pricing) == ("0.025", {"image": 0.025})
    assert AIModel.objects.get(pk=other.pk).enabled


def test_what_the_provider_says_of_past_calls_is_used_where_nothing_else_tells() -> None:
    model = make_priced("fal-ai/esrgan", "0.0003", "compute seconds")
    ProviderEstimate.objects.create(model=model, cost=3_000_000)
    recompute(model)
    model.refresh_from_db()

    assert (model.pricing.default_confidence, model.pricing.default_cost) == ("historical", 3_000_000)
    assert model.legacy_pricing == {"image": 0.01}


def test_an_amount_beyond_all_bounds_is_no_offer() -> None:
    cheap = Standing(state="advertised", priced=True, unit="images", unit_cost="9000000000", default_cost=1)

    assert offer_of(cheap, DEFAULT_TERMS).priced is False
    assert offer_of(cheap, DEFAULT_TERMS).price == price(None, None, "unknown")


@pytest.mark.once
def test_a_price_under_a_nano_is_not_shown_as_nothing() -> None:
    tiny = Standing(state="advertised", priced=True, unit="frames", unit_cost="0.0000000001", default_cost=1)

    assert offer_of(tiny, DEFAULT_TERMS).price["amount"] is None


def test_one_model_with_a_mad_price_stops_no_other() -> None:
    mad = make_priced("fal-ai/mad", "9" * 30, "images")
    good = make_priced("fal-ai/flux/dev", "0.025", "images")
    recompute()
    mad.refresh_from_db()

    assert (mad.priced, mad.price["state"]) == (False, "unknown")
    assert AIModel.objects.get(pk=good.pk).price["amount"] == "0.083333333"


# --- changes ----------------------------------------------------------------------------------------------------


def change_price(model: AIModel, unit_price: str) -> None:
    PricePoint.objects.filter(model=model, standing="current").update(unit_price=unit_price)


def test_a_changed_cost_makes_one_event_one_revision_and_one_line_of_history() -> None:
    model = make_priced("fal-ai/flux/dev", "0.025", "images")
    OutboxEvent.objects.all().delete()
    revision = CatalogState.objects.get().revision
    change_price(model, "0.03")

    assert recompute(model) == 1
    event = OutboxEvent.objects.get()
    assert event.kind == "model.price_changed"
    assert (event.payload["id"], event.payload["price"]["amount"]) == ("fal-ai/flux/dev", "0.1")
    assert event.payload["previous"]["amount"] == "0.083333333"
    assert CatalogState.objects.get().revision == revision + 1
    assert [row.price["amount"] for row in SellingPrice.objects.all()] == ["0.1", "0.083333333"]


def test_recomputing_again_changes_nothing() -> None:
    model = make_priced("fal-ai/flux/dev", "0.025", "images")
    before = (CatalogState.objects.get().revision, OutboxEvent.objects.count(), SellingPrice.objects.count())

    assert recompute(model) == 0
    assert (CatalogState.objects.get().revision, OutboxEvent.objects.count(), SellingPrice.objects.count()) == before


@pytest.mark.once
def test_a_better_founded_price_of_the_same_amount_is_no_event() -> None:
    model = make_priced("fal-ai/flux/dev", "0.025", "images")
    OutboxEvent.objects.all().delete()
    rule = {"version": 1, "charges": [{"name": "images", "price": "0.025", "per": {"of": "outputs"}}]}
    PriceRule.objects.create(model=model, source="note", state="active", body=rule)

    assert recompute(model) == 1
    assert AIModel.objects.get(pk=model.pk).price["state"] == "ruled"
    assert not OutboxEvent.objects.exists()


@pytest.mark.once
def test_a_margin_change_estimates_no_cost_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    model = make_priced("fal-ai/flux/dev", "0.025", "images")

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("a cost was estimated")

    monkeypatch.setattr(standing, "estimate_cost", refuse)
    monkeypatch.setattr(offers, "load_facts", refuse)
    add_rule(rate="0.5")

    assert AIModel.objects.get(pk=model.pk).price["amount"] == "0.05"


def test_repricing_costs_a_fixed_number_of_queries(django_assert_max_num_queries: Any) -> None:
    for number in range(40):
        make_priced(f"fal-ai/made/{number}", "0.025", "images")
    with django_assert_max_num_queries(30):
        add_rule(rate="0.5")


def test_only_the_asked_models_are_computed() -> None:
    first, second = make_priced("fal-ai/one"), make_priced("fal-ai/two")
    change_price(first, "0.03")
    change_price(second, "0.03")

    assert recompute(first) == 1
    assert AIModel.objects.get(pk=second.pk).price["amount"] == "0.083333333"


def test_asking_for_no_model_changes_nothing() -> None:
    make_priced()

    assert offers.recompute([], reason="nothing") == 0


def test_a_failure_leaves_the_last_good_prices(monkeypatch: pytest.MonkeyPatch) -> None:
    model = make_priced()
    change_price(model, "0.03")

    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("disk full")

    monkeypatch.setattr(offers, "write_offers", fail)
    with pytest.raises(RuntimeError):
        recompute(model)

    assert ModelPricing.objects.get(model=model).default_cost == 25_000_000


# --- the existing collection ------------------------------------------------------------------------------------


def keep(model: AIModel, pricing: dict[str, str]) -> None:
    ExistingModel.objects.create(
        legacy_id=model.endpoint_id, provider_name="fal", name="x", pricing=pricing, model=model
    )
    recompute(model)
    model.refresh_from_db()


def test_a_model_of_the_existing_collection_keeps_its_price_whatever_the_margin() -> None:
    model = make_priced("fal-ai/flux/dev", "0.025", "images")
    keep(model, {"image": "0.04"})
    add_rule(rate="0.9")
    model.refresh_from_db()

    assert (model.price, model.legacy_pricing) == (price("0.04", "images", "manual", varies=True), {"image": 0.04})
    assert model.pricing.default_cost == 25_000_000


@pytest.mark.once
def test_an_existing_model_without_a_price_is_priced_like_any_other() -> None:
    model = make_priced("fal-ai/flux/dev", "0.025", "images")
    keep(model, {})

    assert model.price["amount"] == "0.083333333"


@pytest.mark.once
def test_an_existing_model_whose_owner_adopted_the_computed_price_follows_the_margin() -> None:
    model = make_priced("fal-ai/flux/dev", "0.025", "images")
    keep(model, {"image": "0.04"})
    ExistingModel.objects.update(keeps_price=False)
    recompute(model)
    model.refresh_from_db()

    assert model.legacy_pricing == {"image": 0.083333333}


def test_the_cost_of_a_unit_is_kept_to_its_last_digit() -> None:
    model = make_priced("fal-ai/transcribe", "0.00006944444", "input seconds")

    assert Decimal(model.pricing.standing["unit_cost"]) == Decimal("0.00006944444")
