"""`GET /api/v1/providers`: who is registered, whether a key is set, and how the last sync went."""

from datetime import UTC, datetime
from typing import Any

import pytest
from django.test import Client as HttpClient

from catalog.models import SyncRun
from tests.factories import make_model, make_provider

pytestmark = [pytest.mark.django_db, pytest.mark.once]

PROVIDERS = "/api/v1/providers"


def test_before_the_first_sync_a_provider_is_there_with_nothing(api: HttpClient) -> None:
    assert api.get(PROVIDERS).json() == {
        "items": [
            {
                "id": "fal",
                "name": "fal.ai",
                "configured": True,
                "models": 0,
                "last_synced_at": None,
                "sync_status": None,
            }
        ]
    }


def test_without_a_key_a_provider_is_not_configured(api: HttpClient, settings: Any) -> None:
    settings.FAL_KEY = ""

    answer = api.get(PROVIDERS)

    assert answer.status_code == 200
    assert answer.json()["items"][0]["configured"] is False


def test_without_a_key_the_catalog_is_served_all_the_same(api: HttpClient, settings: Any) -> None:
    settings.FAL_KEY = ""

    assert api.get("/api/v1/models").status_code == 200


def test_no_key_of_a_provider_is_ever_shown(admin_api: HttpClient, settings: Any) -> None:
    assert settings.FAL_KEY
    assert settings.FAL_KEY.encode() not in admin_api.get(PROVIDERS).content


def test_only_models_that_are_offered_are_counted(api: HttpClient) -> None:
    make_model("fal-ai/on")
    make_model("fal-ai/on-too")
    make_model("fal-ai/off", switch="off")
    make_model("fal-ai/elsewhere", provider="replicate")

    items = api.get(PROVIDERS).json()["items"]

    assert [(item["id"], item["models"]) for item in items] == [("fal", 2)]


def make_run(status: str, day: int) -> SyncRun:
    return SyncRun.objects.create(
        provider=make_provider(),
        status=status,
        trigger="schedule",
        requested_at=datetime(2026, 11, day, tzinfo=UTC),
        finished_at=datetime(2026, 11, day, 0, 0, 5, tzinfo=UTC),
    )


def test_the_last_good_sync_and_the_outcome_of_the_newest_are_told_apart(api: HttpClient) -> None:
    make_run("succeeded", 1)
    make_run("succeeded", 2)
    make_run("failed", 3)

    (item,) = api.get(PROVIDERS).json()["items"]

    assert item["last_synced_at"] == "2026-11-02T00:00:05.000Z"
    assert item["sync_status"] == "failed"


def test_it_asks_no_provider(api: HttpClient) -> None:
    # The settings of the tests name an address where nothing listens.
    assert api.get(PROVIDERS).status_code == 200


def test_the_number_of_queries_does_not_grow_with_the_syncs(api: HttpClient, django_assert_num_queries: Any) -> None:
    api.get(PROVIDERS)
    for day in range(1, 20):
        make_run("succeeded", day)

    with django_assert_num_queries(2):
        api.get(PROVIDERS)


def test_it_needs_a_key() -> None:
    assert HttpClient().get(PROVIDERS).status_code == 401
