"""The health of a model: what is told of it, to whom, and what is called a problem."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client as HttpClient
from django.utils import timezone

from catalog import upstreams
from catalog.models import AIModel
from jobs.dispatching.gate import FAILURES, note_failure
from jobs.model_health import health_of
from tests.admin.pages import read
from tests.pricing.estimates.sold import make_sold
from tests.pricing.reports.past import ended

pytestmark = pytest.mark.django_db
HEALTH = "/api/v1/admin/models/fal-ai/flux/dev/health"


@pytest.fixture
def flux(db: None) -> AIModel:
    upstreams.forget()
    return make_sold()


def run_before(model: AIModel, **ago: float) -> Callable[..., None]:
    """Ends a job of the model so long ago."""

    def end(outcome: str = "succeeded", **more: Any) -> None:
        ended(model, at=timezone.now() - timedelta(**ago), outcome=outcome, **more)

    return end


@pytest.mark.once
def test_vald_04_a_model_that_is_well_is_told_with_its_schema_price_and_jobs(
    flux: AIModel, admin_api: HttpClient
) -> None:
    for seconds in (2.0, 4.0):
        run_before(flux, minutes=5)(seconds=seconds)
    run_before(flux, minutes=50)("canceled")
    run_before(flux, minutes=61)("failed")
    run_before(flux, hours=3)(seconds=9.0)
    run_before(flux, minutes=1)(is_cached=True, seconds=0.0)
    run_before(flux, hours=24, minutes=1)("failed")

    told = admin_api.get(HEALTH).json()

    assert (told["healthy"], told["problems"]) == (True, [])
    assert (told["enabled"], told["status"], told["provider_online"]) == (True, "active", True)
    assert (told["schema"]["state"], told["schema"]["version"]) == ("understood", 1)
    assert told["price_state"] == "advertised"
    assert told["gate"] == {"state": "closed", "reason": "", "opens_in": None}
    assert told["last_hour"] == {
        "succeeded": 2, "failed": 0, "canceled": 1, "success_percent": "100.00", "mean_seconds": 3.0,
    }  # fmt: skip
    assert told["last_day"] == {
        "succeeded": 3, "failed": 1, "canceled": 1, "success_percent": "75.00", "mean_seconds": 5.0,
    }  # fmt: skip


@pytest.mark.once
@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"enabled": False, "switch": "off"}, "It is switched off."),
        ({"enabled": False, "held_reason": "unpriced"}, "price"),
        ({"schema_state": "not_understood", "schema_problem": "no paths"}, "not understood (no paths); version 1"),
        ({"price": {"state": "unknown"}}, "Its price is not known."),
        ({"status": "deprecated"}, "calls it deprecated"),
    ],
)
def test_vald_04_what_is_wrong_with_a_model_is_told_in_words(
    flux: AIModel, columns: dict[str, Any], words: str
) -> None:
    AIModel.objects.filter(pk=flux.pk).update(**columns)
    flux.refresh_from_db()

    (problem,) = health_of(flux).problems

    assert words in problem


@pytest.mark.parametrize(("failed", "is_told"), [(1, False), (2, True)])
def test_vald_04_a_model_that_failed_too_often_in_the_last_hour_is_not_well(
    flux: AIModel, failed: int, is_told: bool
) -> None:
    for number in range(5):
        run_before(flux, minutes=5)("failed" if number < failed else "succeeded")

    assert health_of(flux).problems == (("2 of 5 jobs of the last hour failed.",) if is_told else ())


def test_vald_04_a_shut_gate_and_a_cut_connection_are_told_of_every_model_behind_them(flux: AIModel) -> None:
    for _ in range(FAILURES):
        note_failure("fal", "fal answered 503")
    upstreams.note_unreachable("fal", "no connection", times=upstreams.OFFLINE_AFTER)

    found = health_of(flux)

    assert (found.gate.state if found.gate else None, found.is_online) == ("open", False)
    assert [words.rpartition(":")[0] or words for words in found.problems] == [
        "fal.ai can't be reached.", "fal.ai takes no jobs at the moment",
    ]  # fmt: skip


@pytest.mark.once
def test_the_page_of_a_model_shows_its_health(flux: AIModel, staff: Callable[[str], HttpClient]) -> None:
    run_before(flux, minutes=5)("failed")

    page = read(staff("viewer"), f"/admin/catalog/aimodel/{flux.pk}/change/")

    shown = page.one(data_testid="health").text
    assert "healthy" in shown
    assert "last hour 0 1 0 0.0 % –" in shown
    assert "circuit breaker closed" in shown
