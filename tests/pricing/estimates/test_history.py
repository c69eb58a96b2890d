"""Estimates from what jobs have cost: enough of them, with the settings that matter, and honest about the spread."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from catalog.models import AIModel
from pricing.estimates import history
from pricing.estimates.history import features_of, history_of, latencies
from pricing.models import ProviderEstimate, UsageRecord
from tests.pricing.estimates.sold import (
    DURATION,
    IMAGE_URL,
    NUM_IMAGES,
    PROMPT,
    RESOLUTION,
    facts_about,
    field,
    make_sold,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def model() -> AIModel:
    return make_sold("fal-ai/opaque", unit="units", inputs=[PROMPT, RESOLUTION, NUM_IMAGES])


def use(
    model: AIModel, costs: list[int], *, days_ago: int = 1, seconds: float | None = None,
    columns: dict[str, Any] | None = None, **features: Any,
) -> None:  # fmt: skip
    count = UsageRecord.objects.count()
    for number, cost in enumerate(costs, start=count):
        values = {
            "job": f"job_{number}", "model": model, "cost": cost * 10**6, "charge": cost * 10**6,
            "cost_source": "billing_event", "features": features, "seconds": seconds,
            "created_at": timezone.now() - timedelta(days=days_ago),
        }  # fmt: skip
        UsageRecord.objects.create(**(values | (columns or {})))
    history.forget()


# What teaches nothing of prices: guesses of our own, and what did not run to its end.
TEACHES_NOTHING: list[dict[str, Any]] = [
    {"cost_source": "estimated"}, {"cost_source": "none"}, {"outcome": "failed"}, {"outcome": "canceled"},
    {"is_cached": True},
]  # fmt: skip


SETTINGS = {"resolution": "720p", "num_images": 1}


def asked(model: AIModel, **given: Any) -> history.History | None:
    return history_of(facts_about(model), {"prompt": "a", **SETTINGS, **given})


def test_without_any_job_there_is_no_history(model: AIModel) -> None:
    assert asked(model) is None


def test_four_jobs_are_too_few(model: AIModel) -> None:
    use(model, [10, 20, 30, 40], **SETTINGS)
    assert asked(model) is None


def test_five_jobs_with_the_same_settings_tell_their_median(model: AIModel) -> None:
    use(model, [50, 10, 30, 20, 40], **SETTINGS)
    found = asked(model)
    assert found is not None
    assert (found.cost, found.low, found.high) == (Decimal("0.03"), Decimal("0.014"), Decimal("0.046"))
    assert "5 jobs of ours with the same settings" in found.basis


def test_jobs_with_other_settings_do_not_count_among_them(model: AIModel) -> None:
    use(model, [10] * 5, **SETTINGS)
    use(model, [90] * 50, **(SETTINGS | {"resolution": "1080p"}))
    found = asked(model)
    assert found is not None
    assert found.cost == Decimal("0.01")


def test_without_equal_jobs_all_bound_the_answer(model: AIModel) -> None:
    use(model, [10, 20, 30, 40, 90], **(SETTINGS | {"resolution": "1080p"}))
    found = asked(model)
    assert found is not None
    assert (found.cost, found.high) == (Decimal("0.03"), Decimal("0.09"))
    assert "other settings" in found.basis


def test_numbers_are_equal_however_they_are_written(model: AIModel) -> None:
    use(model, [10] * 5, resolution="720p", num_images=1.0)
    found = asked(model)
    assert found is not None
    assert "the same settings" in found.basis


def test_a_number_beyond_all_bounds_is_only_another_setting(model: AIModel) -> None:
    use(model, [10] * 5, **SETTINGS)
    found = asked(model, num_images=1e40)
    assert found is not None
    assert "other settings" in found.basis


def test_the_median_of_two_amounts_is_exact_to_half_a_nano(model: AIModel) -> None:
    largest = 2**53
    for number, cost in enumerate([1, largest, largest, largest + 1, largest + 2, largest + 2]):
        UsageRecord.objects.create(
            job=f"job_{number}", model=model, cost=cost, charge=0, cost_source="billing_event", features=SETTINGS,
        )  # fmt: skip
    found = asked(model)
    assert found is not None
    assert found.cost * 10**9 == largest + Decimal("0.5")


def test_free_and_old_jobs_do_not_count(model: AIModel) -> None:
    use(model, [0] * 10, **SETTINGS)
    use(model, [10] * 10, days_ago=200, **SETTINGS)
    assert asked(model) is None


@pytest.mark.parametrize("columns", TEACHES_NOTHING)
def test_only_bills_of_jobs_that_succeeded_teach_prices(model: AIModel, columns: dict[str, Any]) -> None:
    use(model, [90] * 10, columns=columns, **SETTINGS)
    assert asked(model) is None


def test_billed_units_teach_prices_as_billing_events_do(model: AIModel) -> None:
    use(model, [10] * 5, columns={"cost_source": "billable_units"}, **SETTINGS)
    found = asked(model)
    assert found is not None
    assert found.cost == Decimal("0.01")


@pytest.mark.parametrize("columns", [{"outcome": "failed"}, {"outcome": "canceled"}, {"is_cached": True}])
def test_only_jobs_that_succeeded_teach_latencies(model: AIModel, columns: dict[str, Any]) -> None:
    use(model, [10] * 10, seconds=90, columns=columns)
    assert latencies() == {}


def test_the_provider_is_believed_where_we_have_no_history(model: AIModel) -> None:
    ProviderEstimate.objects.create(model=model, cost=7_000_000)
    found = asked(model)
    assert found is not None
    assert (found.cost, found.low, found.high) == (Decimal("0.007"), None, Decimal("0.021"))


def test_our_own_jobs_go_before_what_the_provider_says(model: AIModel) -> None:
    ProviderEstimate.objects.create(model=model, cost=7_000_000)
    use(model, [10] * 5, **SETTINGS)
    found = asked(model)
    assert found is not None
    assert found.cost == Decimal("0.01")


def test_a_provider_without_history_says_nothing(model: AIModel) -> None:
    ProviderEstimate.objects.create(model=model, cost=None)
    assert asked(model) is None


def test_features_are_choices_and_numbers_never_texts_and_files() -> None:
    switches = [
        field(name, "boolean", default=True) for name in ("generate_audio", "enable_safety_checker", "sync_mode")
    ]
    numbers = [field("seed", "integer"), field("guidance_scale", "number"), field("image_size", "object")]
    words = [field("output_format", enum=["png", "jpeg"]), field("script_length_note")]
    inputs = [PROMPT, IMAGE_URL, RESOLUTION, DURATION, NUM_IMAGES, *switches, *numbers, *words]
    filled = {
        "prompt": "a secret", "image_url": "https://example.com/a.png", "resolution": "1080p", "num_images": 3,
        "seed": 5, "guidance_scale": 3.5, "sync_mode": True, "image_size": {"width": 1024, "height": 512},
        "output_format": "png", "script_length_note": "x" * 500,
    }  # fmt: skip
    assert features_of(inputs, filled) == {
        "resolution": "1080p",
        "duration": "5",
        "num_images": 3,
        "generate_audio": True,
        "image_size": {"width": 1024, "height": 512},
    }


def test_of_loras_it_is_their_number_that_is_kept() -> None:
    inputs = [field("loras", "array"), field("lora_url", "string"), field("lora_scale", "number"), PROMPT]
    filled = {"loras": [{"path": "https://a"}, {"path": "https://b"}], "lora_url": "https://c", "lora_scale": 0.5}
    assert features_of(inputs, filled) == {"loras": 2, "lora_url": 1}
    assert features_of(inputs, {"loras": [], "lora_url": ""}) == {}


def test_requests_with_other_loras_are_the_same_for_their_price(model: AIModel) -> None:
    use(model, [10] * 5, **SETTINGS, loras=3)
    found = asked(model)
    assert found is not None
    assert "with the same settings" in found.basis


def test_latency_is_the_median_of_the_last_week(model: AIModel) -> None:
    use(model, [1] * 5, seconds=8.0)
    use(model, [1] * 9, seconds=100.0, days_ago=30)
    assert latencies() == {model.pk: 8.0}


def test_a_latency_needs_five_jobs(model: AIModel) -> None:
    use(model, [1] * 4, seconds=8.0)
    use(model, [1] * 9)
    assert latencies() == {}
