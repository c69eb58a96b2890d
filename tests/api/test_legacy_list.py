"""`GET /api/v1/models/fal`: the shape that existing programs were written against, literally."""

import pytest
from django.test import Client as HttpClient

from catalog.models import CatalogState
from tests.factories import make_model, make_models, publish_now

pytestmark = pytest.mark.django_db

LEGACY = "/api/v1/models/fal"


def test_it_has_exactly_the_legacy_shape(api: HttpClient) -> None:
    make_model("fal-ai/veo3", name="Veo 3", category="text-to-video", media_type="video")
    make_model("fal-ai/flux/dev", name="FLUX.1 [dev]")
    publish_now()

    published_at = CatalogState.objects.get().published_at
    assert api.get(LEGACY).json() == {
        "models": [
            {
                "id": "fal-ai/flux/dev",
                "name": "FLUX.1 [dev]",
                "provider": "fal",
                "category": "text-to-image",
                "pricing": {},
                "enabled": True,
            },
            {
                "id": "fal-ai/veo3",
                "name": "Veo 3",
                "provider": "fal",
                "category": "text-to-video",
                "pricing": {},
                "enabled": True,
            },
        ],
        "count": 2,
        "lastUpdated": published_at.isoformat().replace("+00:00", "Z"),
    }


def test_an_empty_catalog_was_never_updated(api: HttpClient) -> None:
    assert api.get(LEGACY).json() == {"models": [], "count": 0, "lastUpdated": None}


def test_it_holds_all_models_in_one_answer(api: HttpClient) -> None:
    make_models(700)
    publish_now()

    body = api.get(LEGACY).json()

    assert body["count"] == len(body["models"]) == 700


@pytest.mark.parametrize("role", ["api", "admin_api"])
def test_it_holds_only_enabled_models_of_fal(role: str, request: pytest.FixtureRequest) -> None:
    make_model("fal-ai/on")
    make_model("fal-ai/off", switch="off")
    make_model("fal-ai/retired", status="retired")
    make_model("black-forest/flux", provider="replicate")
    publish_now()

    body = request.getfixturevalue(role).get(LEGACY).json()

    assert [model["id"] for model in body["models"]] == ["fal-ai/on"]
    assert body["count"] == 1


def test_an_unchanged_list_is_a_304(api: HttpClient) -> None:
    etag = api.get(LEGACY).headers["ETag"]

    answer = api.get(LEGACY, headers={"If-None-Match": etag})

    assert (answer.status_code, answer.content) == (304, b"")


def test_it_needs_a_key() -> None:
    assert HttpClient().get(LEGACY).status_code == 401
