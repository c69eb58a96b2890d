"""`GET /api/v1/models/fal`: the shape that existing programs were written against, literally."""

import pytest
from django.test import Client as HttpClient

from catalog.models import CatalogState
from pricing.models import ExistingModel
from tests.factories import make_model, make_models, publish_now
from tests.pricing.selling.priced import make_priced, recompute

pytestmark = [pytest.mark.django_db, pytest.mark.once]

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


def test_selling_prices_stand_under_the_names_of_the_legacy_shape(api: HttpClient) -> None:
    make_priced("a/image", "0.3", "images")
    make_priced("b/video", "0.3", "seconds", category="text-to-video", media_type="video")
    make_priced("c/text", "0.0003", "1000 tokens", category="llm", media_type="text")
    make_priced("d/shape", "0.3", "generations", category="image-to-3d", media_type="3d")
    kept = make_priced("e/kept", "0.0003", "1000 tokens", category="llm", media_type="text")
    ExistingModel.objects.create(
        legacy_id="kept", provider_name="fal", name="Kept", pricing={"input": "5", "output": "15"}, model=kept,
        keeps_price=True,
    )  # fmt: skip
    recompute(kept)

    assert {model["id"]: model["pricing"] for model in api.get(LEGACY).json()["models"]} == {
        "a/image": {"image": 1.0},
        "b/video": {"video": 1.0},
        "c/text": {"input": 1.0, "output": 1.0},
        "d/shape": {"fixedPrice": 1.0},
        "e/kept": {"input": 5.0, "output": 15.0},
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
