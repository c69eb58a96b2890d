"""Deadlines by what a request makes (DESIGN section 8)."""

from decimal import Decimal
from itertools import count
from typing import Any

import pytest

from pricing.counting.requests import make_request
from pricing.estimates.deadlines import deadline_seconds
from tests.pricing.estimates.sold import DURATION, PROMPT, facts_about, field, make_sold

pytestmark = [pytest.mark.django_db, pytest.mark.once]


def deadline(given: dict[str, Any] | None = None, *, observed: Decimal | None = None, **columns: Any) -> Decimal:
    facts = facts_about(make_sold(f"fal-ai/any-{next(_numbers)}", **columns))
    return deadline_seconds(facts, make_request(facts.inputs, given or {}), observed=observed)


_numbers = count()
VIDEO = {"media_type": "video", "inputs": [PROMPT, field("duration", "integer")]}


@pytest.mark.parametrize(
    ("columns", "given", "seconds"),
    [
        ({}, {}, 60),
        ({"capabilities": ["upscale_factor"]}, {}, 90),
        (VIDEO, {"duration": 4}, 180),
        (VIDEO, {"duration": 5}, 300),
        (VIDEO, {"duration": 10}, 300),
        (VIDEO, {"duration": 11}, 600),
        (VIDEO, {}, 600),
        ({"media_type": "video", "inputs": [PROMPT, DURATION]}, {}, 300),
        ({"media_type": "audio"}, {}, 600),
        ({"media_type": "other", "kind": "training"}, {}, 7200),
    ],
)
def test_each_kind_of_work_has_its_deadline(columns: dict[str, Any], given: dict[str, Any], seconds: int) -> None:
    assert deadline(given, **columns) == seconds


def test_a_model_that_takes_long_by_its_own_words_gets_three_times_that() -> None:
    assert deadline(metadata={"duration_estimate": 7}) == 3 * 7 * 60
    assert deadline(metadata={"duration_estimate": 0.1}) == 60
    assert deadline(metadata={"duration_estimate": "soon"}) == 60


def test_what_was_observed_counts_like_the_models_own_words() -> None:
    assert deadline(observed=Decimal(50)) == 150


@pytest.mark.parametrize(
    ("setting", "columns", "given"),
    [
        ("FAL_TIMEOUT_IMAGE", {}, {}),
        ("FAL_TIMEOUT_UPSCALE", {"capabilities": ["upscale_factor"]}, {}),
        ("FAL_TIMEOUT_VIDEO_SHORT", VIDEO, {"duration": 4}),
        ("FAL_TIMEOUT_VIDEO", VIDEO, {"duration": 5}),
        ("FAL_TIMEOUT_VIDEO_LONG", VIDEO, {"duration": 11}),
    ],
)
def test_deadlines_of_images_and_films_are_settings(
    settings: Any, setting: str, columns: dict[str, Any], given: dict[str, Any]
) -> None:
    setattr(settings, setting, 1234)

    assert deadline(given, **columns) == 1234


def test_deadlines_of_other_work_are_settings(settings: Any) -> None:
    settings.DEADLINE_TRAINING_SECONDS = 99_000
    settings.DEADLINE_OTHER_SECONDS = 20
    assert deadline(kind="training") == 99_000
    assert deadline(media_type="audio") == 20
