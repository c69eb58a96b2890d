"""How many models have an estimate of which confidence."""

import pytest

from catalog.models import AIModel
from pricing.estimates.coverage import coverage, whole_coverage
from pricing.models import ModelPricing
from tests.factories import make_models

pytestmark = pytest.mark.django_db


def give(row: AIModel, confidence: str, unit: str = "images", missing: tuple[str, ...] = ()) -> None:
    ModelPricing.objects.create(
        model=row, default_confidence=confidence, default_unit=unit, default_missing=list(missing)
    )


@pytest.fixture
def catalog() -> None:
    """Six models: two exact, one derived, one bounded, one unknown for want of a duration, one never estimated."""
    rows = make_models(6)
    give(rows[0], "exact")
    give(rows[1], "exact")
    give(rows[2], "derived", "seconds")
    give(rows[3], "bounded", "compute seconds")
    give(rows[4], "unknown", "seconds", ("duration", "video_seconds"))
    AIModel.objects.filter(pk=rows[2].pk).update(category="text-to-video")


@pytest.mark.usefixtures("catalog")
def test_every_model_is_counted_once_by_its_confidence() -> None:
    assert coverage().whole.counts == {"exact": 2, "derived": 1, "historical": 0, "bounded": 1, "unknown": 2}
    assert whole_coverage().counts == coverage().whole.counts


@pytest.mark.usefixtures("catalog")
def test_the_share_is_of_exact_and_derived() -> None:
    assert (coverage().whole.told, coverage().whole.total, coverage().whole.percent) == (3, 6, 50.0)


@pytest.mark.usefixtures("catalog")
def test_units_and_categories_add_up_to_the_whole() -> None:
    found = coverage()
    for rows in (found.by_unit, found.by_category):
        assert sum(row.total for row in rows) == found.whole.total
    by_unit = {row.name: row.counts for row in found.by_unit}
    assert (by_unit["seconds"]["derived"], by_unit["seconds"]["unknown"], by_unit[""]["unknown"]) == (1, 1, 1)


@pytest.mark.usefixtures("catalog")
def test_what_is_missing_is_counted_by_name() -> None:
    assert coverage().missing == [("duration", 1), ("video_seconds", 1)]


@pytest.mark.usefixtures("catalog")
def test_no_price_is_told_from_a_request_that_leaves_something_open() -> None:
    found = coverage()
    assert (found.open_requests, found.without_price, found.never) == (1, 1, 1)


@pytest.mark.usefixtures("catalog")
def test_retired_models_do_not_count() -> None:
    AIModel.objects.update(status="retired")
    assert (coverage().whole.total, coverage().missing) == (0, [])


def test_an_empty_catalog_has_no_share() -> None:
    assert (coverage().whole.percent, coverage().by_unit) == (0.0, [])
