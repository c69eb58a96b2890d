"""`GET /api/v1/models/{id}`: one model with its fields and schemas."""

from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from django.test import Client as HttpClient

from catalog.availability import switch_models
from catalog.models import AIModel
from genfeed.journal.audit import SYSTEM
from tests.factories import INPUT_SCHEMA, INPUTS, OUTPUT_SCHEMA, OUTPUTS, make_model, publish_now

pytestmark = [pytest.mark.django_db, pytest.mark.once]

FLUX = "/api/v1/models/fal-ai/flux/dev"


def test_the_detail_adds_fields_schemas_and_limits_to_the_list_s_model(api: HttpClient) -> None:
    make_model("fal-ai/flux/dev", limits={"max_images": 4})
    publish_now()

    answer = api.get(FLUX)

    assert answer.status_code == 200
    (listed,) = api.get("/api/v1/models").json()["items"]
    assert answer.json() == listed | {
        "limits": {"max_images": 4},
        "inputs": INPUTS,
        "outputs": OUTPUTS,
        "input_schema": INPUT_SCHEMA,
        "output_schema": OUTPUT_SCHEMA,
    }


@pytest.mark.parametrize(
    "endpoint_id", ["one", "two/parts", "a/b/c/d/e", "owner/model:v2", "with space/ü", "fal-ai/x.1"]
)
def test_an_id_may_contain_slashes_and_other_signs(api: HttpClient, endpoint_id: str) -> None:
    make_model(endpoint_id)
    publish_now()

    assert api.get(f"/api/v1/models/{endpoint_id}").json()["id"] == endpoint_id


def test_slashes_may_be_percent_encoded(api: HttpClient) -> None:
    make_model("fal-ai/flux/dev")
    publish_now()

    assert api.get("/api/v1/models/fal-ai%2Fflux%2Fdev").json()["id"] == "fal-ai/flux/dev"


def test_a_model_is_found_by_provider_and_id(api: HttpClient) -> None:
    make_model("fal-ai/flux/dev")
    publish_now()

    answer = api.get("/api/v1/models/fal:fal-ai/flux/dev")

    assert (answer.json()["id"], answer.json()["provider"]) == ("fal-ai/flux/dev", "fal")


def test_an_id_of_two_providers_is_a_409_that_names_both(api: HttpClient) -> None:
    make_model("fal-ai/flux/dev")
    make_model("fal-ai/flux/dev", provider="replicate")
    publish_now()

    answer = api.get(FLUX)

    body = answer.json()
    assert (answer.status_code, body["code"]) == (409, "model_ambiguous")
    assert body["details"] == {"candidates": ["fal:fal-ai/flux/dev", "replicate:fal-ai/flux/dev"]}
    assert body["hint"] == "Name the provider: fal:fal-ai/flux/dev or replicate:fal-ai/flux/dev."
    assert api.get("/api/v1/models/replicate:fal-ai/flux/dev").json()["provider"] == "replicate"


def test_an_unknown_id_is_a_404_that_names_the_nearest(api: HttpClient) -> None:
    make_model("fal-ai/flux/dev")
    make_model("fal-ai/whisper")
    publish_now()

    answer = api.get("/api/v1/models/fal-ai/flux/dve")

    body = answer.json()
    assert (answer.status_code, body["code"]) == (404, "model_not_found")
    assert body["message"] == "There is no model 'fal-ai/flux/dve'."
    assert body["hint"] == "Did you mean fal-ai/flux/dev?"
    assert body["details"] == {"nearest": ["fal-ai/flux/dev"]}


def test_an_id_like_no_other_is_sent_to_the_list(api: HttpClient) -> None:
    make_model("fal-ai/flux/dev")
    publish_now()

    body = api.get("/api/v1/models/zzzzzzzzzzzz").json()

    assert body["hint"] == "List them at /api/v1/models."
    assert body["details"] == {"nearest": []}


def test_an_unknown_provider_is_not_found(api: HttpClient) -> None:
    make_model("fal-ai/flux/dev")
    publish_now()

    assert api.get("/api/v1/models/replicate:fal-ai/flux/dev").status_code == 404


UNOFFERED = [
    {"switch": "off"},
    {"status": "retired"},
    {"status": "deprecated"},
    {"schema_version": 0, "schema_state": "not_understood", "schema_problem": "No POST in it."},
]


@pytest.mark.parametrize("columns", UNOFFERED)
def test_a_model_that_is_not_offered_is_a_404_for_clients(api: HttpClient, columns: dict) -> None:
    make_model("fal-ai/flux/dev", **columns)
    publish_now()

    answer = api.get(FLUX)

    assert (answer.status_code, answer.json()["code"]) == (404, "model_not_found")
    assert answer.json()["details"] == {"nearest": []}


@pytest.mark.parametrize("columns", UNOFFERED)
def test_a_model_that_is_not_offered_is_visible_to_the_scope_admin(admin_api: HttpClient, columns: dict) -> None:
    make_model("fal-ai/flux/dev", **columns)
    publish_now()

    answer = admin_api.get(FLUX)

    assert answer.status_code == 200
    assert answer.json()["enabled"] is False


def test_the_admin_is_told_why_a_model_is_held(admin_api: HttpClient) -> None:
    make_model("fal-ai/flux/dev", schema_version=0, schema_state="not_understood", schema_problem="No POST in it.")
    publish_now()

    body = admin_api.get(FLUX).json()

    assert body["held_reason"] == (
        "The model's schema is not understood, so its input can't be checked. (No POST in it.)"
    )
    assert body["schema_version"] is None
    assert (body["inputs"], body["outputs"], body["input_schema"], body["output_schema"]) == ([], [], {}, {})


def test_staff_who_may_see_the_catalog_see_held_models(staff: Callable[[str], HttpClient]) -> None:
    make_model("fal-ai/flux/dev", switch="off")
    publish_now()

    assert staff("viewer").get(FLUX).status_code == 200


def test_staff_without_a_role_see_no_more_than_clients() -> None:
    make_model("fal-ai/flux/dev", switch="off")
    publish_now()
    client = HttpClient()
    client.force_login(User.objects.create_user("new here", is_staff=True))

    assert client.get(FLUX).status_code == 404


def test_a_switch_is_seen_at_once_by_the_process_that_made_it(api: HttpClient, admin_api: HttpClient) -> None:
    make_model("fal-ai/flux/dev")
    publish_now()
    assert api.get(FLUX).status_code == 200

    admin_api.post("/api/v1/admin/models/fal-ai/flux/dev/toggle", {"enabled": False}, content_type="application/json")

    assert api.get(FLUX).status_code == 404


def test_the_schema_is_the_one_of_the_current_version(api: HttpClient) -> None:
    row = make_model("fal-ai/flux/dev")
    AIModel.objects.filter(pk=row.pk).update(schema_version=2)
    publish_now()

    body = api.get(FLUX).json()
    assert (body["schema_version"], body["inputs"]) == (2, [])


def test_an_unchanged_model_is_a_304(api: HttpClient) -> None:
    make_model("fal-ai/flux/dev")
    publish_now()
    first = api.get(FLUX)

    second = api.get(FLUX, headers={"If-None-Match": first.headers["ETag"]})

    assert (second.status_code, second.content) == (304, b"")
    assert first.headers["Cache-Control"] == second.headers["Cache-Control"] == "private, no-cache"


def test_a_new_revision_renders_the_model_anew(api: HttpClient) -> None:
    row = make_model("fal-ai/flux/dev")
    make_model("fal-ai/other")
    publish_now()
    first = api.get(FLUX)
    AIModel.objects.filter(pk=row.pk).update(name="Renamed")
    switch_models(AIModel.objects.filter(endpoint_id="fal-ai/other"), on=False, actor=SYSTEM)
    publish_now()

    second = api.get(FLUX, headers={"If-None-Match": first.headers["ETag"]})

    assert (second.status_code, second.json()["name"]) == (200, "Renamed")


def test_a_304_for_a_model_that_went_is_a_404(api: HttpClient) -> None:
    row = make_model("fal-ai/flux/dev")
    publish_now()
    etag = api.get(FLUX).headers["ETag"]
    switch_models([row], on=False, actor=SYSTEM)
    publish_now()

    assert api.get(FLUX, headers={"If-None-Match": etag}).status_code == 404
