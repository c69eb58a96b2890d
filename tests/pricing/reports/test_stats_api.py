"""Profitability over HTTP: money, success and latencies of a period by everything, and those of the period before."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.test import Client as HttpClient
from django.utils import timezone

from pricing.reports.rollups import roll_up
from tests.admin.pages import read
from tests.factories import make_model
from tests.pricing.ledger.books import CENT, make_client
from tests.pricing.reports.past import ended

pytestmark = pytest.mark.django_db
FAILED = {"outcome": "failed", "charge": 0, "cost": 0, "cost_source": "none", "error_code": "timeout"}
# A quantile is told from a histogram, and no further off than its bucket is wide.
BUCKET = 0.61


@pytest.fixture
def used() -> None:
    """At two providers: 18 jobs of 2 s, 2 of 60 s, 5 failures, a cancel; 4 jobs of 9 s; and one of a month before."""
    client, now = make_client("alice"), timezone.now()
    ours, theirs = (
        make_model("fal-ai/flux/dev"),
        make_model("owner/clip", provider="replicate", category="text-to-video"),
    )
    for number in range(20):
        ended(ours, client, now, seconds=60.0 if number < 2 else 2.0)
    for _ in range(5):
        ended(ours, client, now, **FAILED)
    ended(ours, client, now, outcome="canceled", charge=0, cost=0, cost_source="none")
    for _ in range(4):
        ended(theirs, client, now, seconds=9.0)
    ended(ours, client, now - timedelta(days=31), charge=7 * CENT, seconds=30.0)
    roll_up()


@pytest.mark.parametrize(
    ("by", "ours", "theirs"),
    [
        ("model", "fal-ai/flux/dev", "owner/clip"),
        ("category", "text-to-image", "text-to-video"),
        ("provider", "fal", "replicate"),
    ],
)
def test_success_and_latencies_are_told_per_model_category_and_provider(
    admin_api: HttpClient, used: None, by: str, ours: str, theirs: str
) -> None:
    told = {one["name"]: one for one in admin_api.get(f"/api/v1/admin/stats?group_by={by}").json()["items"]}

    assert set(told) == {ours, theirs}
    assert {name: (one["jobs"], one["success_percent"]) for name, one in told.items()} == {
        ours: (26, "80.00"), theirs: (4, "100.00"),
    }  # fmt: skip
    assert told[ours]["p50_seconds"] == pytest.approx(2, rel=BUCKET)
    assert told[ours]["p95_seconds"] == pytest.approx(60, rel=BUCKET)
    assert told[ours]["mean_seconds"] == 7.8
    assert told[theirs]["p50_seconds"] == pytest.approx(9, rel=BUCKET)


def test_the_period_before_is_told_beside(admin_api: HttpClient, used: None) -> None:
    body = admin_api.get("/api/v1/admin/stats").json()

    assert (body["total"]["jobs"], body["total"]["revenue"], body["total"]["success_percent"]) == (30, "0.96", "82.76")
    assert (body["before"]["jobs"], body["before"]["revenue"]) == (1, "0.07")
    assert body["before"]["p95_seconds"] == pytest.approx(30, rel=BUCKET)


@pytest.mark.once
def test_the_api_tells_the_same_figures_as_the_page(admin_api: HttpClient, staff: Callable[[str], HttpClient]) -> None:
    now = timezone.now()
    loser, good, client = make_model("fal-ai/loser"), make_model("fal-ai/good"), make_client()
    for _ in range(5):
        ended(loser, client, now, charge=CENT, cost=3 * CENT)
        ended(good, client, now)
    roll_up()
    body = admin_api.get("/api/v1/admin/stats").json()
    assert {one["name"]: one["margin"] for one in body["items"]} == {"fal-ai/loser": "-0.1", "fal-ai/good": "0.15"}
    assert (body["total"]["revenue"], body["total"]["cost"], body["total"]["jobs"]) == ("0.25", "0.2", 10)
    page = read(staff("viewer"), "/admin/pricing/usagerecord/profitability/")
    assert next(card.text for card in page.all(css="gf-card")).startswith("0.2500 USD revenue")


@pytest.mark.once
@pytest.mark.parametrize("query", ["from=yesterday", "from=2026-02-01&to=2026-01-01", "group_by=weather", "nonsense=1"])
def test_a_bad_question_to_the_api_is_refused(admin_api: HttpClient, query: str) -> None:
    answer = admin_api.get(f"/api/v1/admin/stats?{query}")
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")


@pytest.mark.once
def test_staff_without_the_permission_get_no_figures_over_the_api(staff: Callable[[str], HttpClient]) -> None:
    browser = HttpClient()
    browser.force_login(User.objects.create_user("nobody", is_staff=True))
    assert browser.get("/api/v1/admin/stats").status_code == 403
    assert staff("viewer").get("/api/v1/admin/stats").status_code == 200
