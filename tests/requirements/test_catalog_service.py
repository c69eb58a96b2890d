"""What the requirements name as functions of one service, and where each stands here."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client as HttpClient

from catalog import discovery, listing, published
from catalog.legacy import convert_to_existing_schema
from catalog.models import AIModel, SyncRun
from catalog.providers.base import open_provider
from tests.factories import make_model, publish_now

pytestmark = pytest.mark.once

FLUX = "fal-ai/flux/dev"


def ids(entries: list[published.Entry]) -> list[str]:
    return [entry.id for entry in entries]


@pytest.fixture
def three(db: None) -> None:
    make_model("a/picture", category="text-to-image")
    make_model("a/film", category="text-to-video")
    make_model("b/picture", category="text-to-image", provider="replicate")
    publish_now()


def test_refresh_model_catalog_is_a_sync_of_one_provider(some_fal: Any, sync: Callable[..., Any]) -> None:
    run = sync()
    assert (run.provider.slug, run.status) == ("fal", "succeeded")
    assert published.current().revision == run.revision


def test_get_models_by_category_is_a_query(three: None) -> None:
    found = listing.select(published.current(), listing.Query(category="text-to-image"))
    assert ids(found) == ["a/picture", "b/picture"]


def test_get_models_by_provider_is_a_query(three: None) -> None:
    assert ids(listing.select(published.current(), listing.Query(provider="replicate"))) == ["b/picture"]


def test_get_model_finds_one_by_its_id(three: None) -> None:
    assert published.find("a/film").category == "text-to-video"


def test_validate_new_models_is_part_of_every_sync_and_its_report(some_fal: Any, sync: Callable[..., Any]) -> None:
    some_fal.patch_model(FLUX, openapi={"openapi": "3.0.4", "paths": {}})
    report = sync().report
    assert report["not_understood"][FLUX]
    assert report["held"]["schema_not_understood"] == [FLUX]
    totals = report["totals"]
    assert totals["enabled"] + totals["held"] == totals["models"]


def test_every_enabled_model_has_a_schema_and_an_explicit_price_state(
    some_fal: Any, some_synced: Any, api: HttpClient
) -> None:
    assert not AIModel.objects.filter(enabled=True, schema_version=0).exists()
    listed = api.get("/api/v1/models?limit=200").json()["items"]
    assert all(model["schema_version"] >= 1 for model in listed)
    # Unknown is never zero, and never left out.
    assert {(model["price"]["state"], model["price"]["amount"]) for model in listed} == {("unknown", None)}
    assert api.get(f"/api/v1/models/{FLUX}").json()["inputs"]


@pytest.mark.parametrize("category", ["text-to-image", "image-to-image", "text-to-video", "image-to-video"])
def test_the_four_visual_categories_can_be_asked_for(
    some_fal: Any, some_synced: Any, api: HttpClient, category: str
) -> None:
    found = api.get(f"/api/v1/models?category={category}&limit=200").json()["items"]
    assert found
    assert {model["category"] for model in found} == {category}


def test_a_provider_is_asked_whether_it_is_configured_without_a_call(fal: Any, settings: Any) -> None:
    settings.FAL_KEY = ""
    provider = open_provider("fal")
    assert provider.is_configured() is False
    provider.close()
    settings.FAL_KEY = "an:other"
    provider = open_provider("fal")
    assert provider.is_configured() is True
    provider.close()
    assert fal.requests() == []


def test_a_model_is_converted_to_the_shape_of_existing_collections(three: None) -> None:
    converted = convert_to_existing_schema(AIModel.objects.get(endpoint_id="a/film"))
    assert converted == {
        "id": "a/film", "name": "film", "provider": "fal", "category": "text-to-video", "pricing": {}, "enabled": True,
    }  # fmt: skip


def test_a_newest_document_that_is_not_understood_leaves_the_last_good_version_in_force(
    some_fal: Any, some_synced: Any, sync: Callable[..., Any], api: HttpClient
) -> None:
    before = api.get(f"/api/v1/models/{FLUX}").json()
    some_fal.patch_model(FLUX, touch=True, openapi={"openapi": "4.0", "nothing": "known"})
    assert FLUX in sync().report["not_understood"]
    after = api.get(f"/api/v1/models/{FLUX}").json()
    assert after["enabled"] is True
    assert (after["schema_version"], after["input_schema"]) == (1, before["input_schema"])


def test_old_versions_stay_as_they_were(some_fal: Any, some_synced: Any, sync: Callable[..., Any]) -> None:
    first = AIModel.objects.get(endpoint_id=FLUX).schema_versions.get(number=1)
    some_fal.patch_model(FLUX, touch=True, openapi_patch={"components": {"schemas": {"Image": {"title": "Picture"}}}})
    sync()
    again = AIModel.objects.get(endpoint_id=FLUX).schema_versions.get(number=1)
    assert (again.fingerprint, bytes(again.content)) == (first.fingerprint, bytes(first.content))


def test_only_known_and_enabled_ids_can_be_had(three: None, api: HttpClient) -> None:
    make_model("a/off", switch="off")
    publish_now()
    assert api.get("/api/v1/models/a/film").status_code == 200
    assert api.get("/api/v1/models/a/off").status_code == 404
    assert api.get("/api/v1/models/a/never-heard-of").status_code == 404


def test_cloud_and_core_show_the_same_interface(three: None, api: HttpClient, settings: Any) -> None:
    answers = []
    for mode in ("cloud", "core"):
        settings.GENFEED_MODE = mode
        published.forget()
        answers.append([api.get(f"/api/v1/{path}").json() for path in ("models", "models/fal", "models/a/film")])
    assert answers[0] == answers[1]


def test_an_unknown_provider_is_refused_by_name_over_the_api(admin_api: HttpClient) -> None:
    answer = admin_api.post("/api/v1/admin/sync", {"provider": "acme"}, content_type="application/json")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert "'acme'" in answer.json()["message"]
    assert "fal" in answer.json()["message"]


def test_the_sync_that_was_asked_for_over_the_api_can_be_followed_to_its_report(
    fal: Any, admin_api: HttpClient
) -> None:
    asked = admin_api.post("/api/v1/admin/sync", {}, content_type="application/json").json()
    discovery.run_sync(SyncRun.objects.get(pk=asked["id"]))
    done = admin_api.get(f"/api/v1/admin/sync/{asked['id']}").json()
    assert (done["status"], done["report"]["totals"]["models"]) == ("succeeded", AIModel.objects.count())
