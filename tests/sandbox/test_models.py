"""GET /v1/models: listing, finding, searching."""

import httpx
import pytest

from tests.sandbox_server import RunningSandbox


def get(sandbox: RunningSandbox, **params: object) -> dict:
    answer = sandbox.client.get("/v1/models", params=params)
    assert answer.status_code == 200, answer.text
    return answer.json()


def crawl(sandbox: RunningSandbox, **params: object) -> list[list[dict]]:
    pages = []
    while True:
        page = get(sandbox, **params)
        pages.append(page["models"])
        if page["next_cursor"] is None:
            return pages
        params["cursor"] = page["next_cursor"]


def error_of(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["type"]


def test_a_page_holds_100_models(sandbox: RunningSandbox) -> None:
    assert len(get(sandbox)["models"]) == 100


def test_a_larger_limit_does_not_make_a_page_larger(sandbox: RunningSandbox) -> None:
    assert len(get(sandbox, limit=500)["models"]) == 100


def test_a_page_with_schemas_holds_10_models(sandbox: RunningSandbox) -> None:
    assert len(get(sandbox, expand="openapi-3.0")["models"]) == 10


def test_a_listing_of_50_schemas_is_refused(sandbox: RunningSandbox) -> None:
    answer = sandbox.client.get("/v1/models", params={"limit": 50, "expand": "openapi-3.0"})
    assert error_of(answer) == (400, "validation_error")


def test_the_second_page_has_the_cursor_that_fal_uses(sandbox: RunningSandbox) -> None:
    assert get(sandbox)["next_cursor"] == "Mg"


def test_a_cursor_may_be_padded(sandbox: RunningSandbox) -> None:
    assert get(sandbox, cursor="Mg==") == get(sandbox, cursor="Mg")


def test_the_pages_hold_every_listed_model_once(sandbox: RunningSandbox) -> None:
    ids = [model["endpoint_id"] for page in crawl(sandbox) for model in page]
    assert len(ids) == len(set(ids)) == sandbox.state()["listed"]


def test_the_last_page_says_that_there_is_no_more(sandbox: RunningSandbox) -> None:
    page = get(sandbox, category="workflow")
    assert (page["next_cursor"], page["has_more"]) == (None, False)


def test_models_without_metadata_are_not_listed(recorded: RunningSandbox) -> None:
    listed = {model["endpoint_id"]: model for page in crawl(recorded) for model in page}
    assert "CassetteAI/music-generator" not in listed
    assert all("metadata" in model for model in listed.values())


def test_a_model_without_metadata_can_be_found(recorded: RunningSandbox) -> None:
    assert get(recorded, endpoint_id="CassetteAI/music-generator")["models"] == [
        {"endpoint_id": "CassetteAI/music-generator"}
    ]


def test_fifty_models_with_schemas_come_in_five_pages(sandbox: RunningSandbox) -> None:
    ids = [model["endpoint_id"] for model in get(sandbox)["models"]][:50]
    pages = crawl(sandbox, endpoint_id=ids, expand="openapi-3.0", limit=50)
    assert [len(page) for page in pages] == [10, 10, 10, 10, 10]
    assert [model["endpoint_id"] for page in pages for model in page] == ids


def test_fifty_one_ids_are_refused(sandbox: RunningSandbox) -> None:
    ids = [f"fal-ai/model-{number}" for number in range(51)]
    answer = sandbox.client.get("/v1/models", params={"endpoint_id": ids})
    assert error_of(answer) == (400, "validation_error")


def test_ids_may_be_separated_by_commas(sandbox: RunningSandbox) -> None:
    found = get(sandbox, endpoint_id="fal-ai/flux/dev,fal-ai/flux/schnell")["models"]
    assert [model["endpoint_id"] for model in found] == ["fal-ai/flux/dev", "fal-ai/flux/schnell"]


def test_unknown_ids_among_known_ones_are_left_out(sandbox: RunningSandbox) -> None:
    found = get(sandbox, endpoint_id=["fal-ai/flux/dev", "nobody/knows"])["models"]
    assert [model["endpoint_id"] for model in found] == ["fal-ai/flux/dev"]


def test_a_bracketed_expand_is_ignored(sandbox: RunningSandbox) -> None:
    (model,) = get(sandbox, endpoint_id="fal-ai/flux/dev", **{"expand[]": "openapi-3.0"})["models"]
    assert "openapi" not in model


def test_schemas_come_only_when_asked_for(sandbox: RunningSandbox) -> None:
    (model,) = get(sandbox, endpoint_id="fal-ai/flux/dev", expand="enterprise_status")["models"]
    assert sorted(model) == ["endpoint_id", "enterprise_status", "metadata"]


def test_a_model_without_a_schema_says_that_the_expansion_failed(sandbox: RunningSandbox) -> None:
    (model,) = get(sandbox, endpoint_id="fal-ai/wan/v2.1/1.3b/text-to-video", expand="openapi-3.0")["models"]
    assert model["openapi"]["error"]["code"] == "expansion_failed"


def test_favourites_are_null_without_a_key(builtin: RunningSandbox) -> None:
    (model,) = get(builtin, endpoint_id="fal-ai/flux/dev")["models"]
    assert model["metadata"]["is_favorited"] is None


def test_favourites_are_known_with_a_key(keyed: httpx.Client) -> None:
    (model,) = keyed.get("/v1/models", params={"endpoint_id": "fal-ai/flux/dev"}).json()["models"]
    assert model["metadata"]["is_favorited"] is False


def test_optional_metadata_is_omitted_and_never_null(sandbox: RunningSandbox) -> None:
    models = [model["metadata"] for page in crawl(sandbox) for model in page]
    assert all(value is not None for one in models for key, value in one.items() if key != "is_favorited")
    assert any("group" not in one for one in models)


def test_a_category_narrows_the_listing(sandbox: RunningSandbox) -> None:
    found = [model["metadata"]["category"] for page in crawl(sandbox, category="training") for model in page]
    assert set(found) == {"training"}
    assert len(found) >= 20


def test_a_status_narrows_the_listing(builtin: RunningSandbox) -> None:
    builtin.patch_model("fal-ai/flux/dev", status="deprecated")
    found = [model["endpoint_id"] for page in crawl(builtin, status="deprecated") for model in page]
    assert "fal-ai/flux/dev" in found
    assert "fal-ai/flux/schnell" not in found


def test_every_word_of_a_search_must_be_met_by_name_description_or_category(sandbox: RunningSandbox) -> None:
    found = [model["endpoint_id"] for page in crawl(sandbox, q="FLUX text-to-image") for model in page]
    assert "fal-ai/flux/dev" in found
    assert "fal-ai/flux/dev/image-to-image" not in found


def test_ids_and_a_search_intersect(sandbox: RunningSandbox) -> None:
    found = get(sandbox, endpoint_id=["fal-ai/flux/dev", "fal-ai/flux/dev/image-to-image"], category="text-to-image")
    assert [model["endpoint_id"] for model in found["models"]] == ["fal-ai/flux/dev"]


@pytest.mark.parametrize("limit", ["0", "-1", "1.5", "ten", ""])
def test_a_limit_that_is_no_count_is_refused(builtin: RunningSandbox, limit: str) -> None:
    assert error_of(builtin.client.get("/v1/models", params={"limit": limit})) == (400, "validation_error")


@pytest.mark.parametrize("cursor", ["2", "!!", "MA", "LTE", "Zm9v", ""])
def test_a_cursor_that_was_never_given_is_refused(builtin: RunningSandbox, cursor: str) -> None:
    assert error_of(builtin.client.get("/v1/models", params={"cursor": cursor})) == (400, "validation_error")


@pytest.mark.parametrize("expand", ["openapi", "openapi-3.0,enterprise_status"])
def test_an_unknown_expansion_is_refused(builtin: RunningSandbox, expand: str) -> None:
    assert error_of(builtin.client.get("/v1/models", params={"expand": expand})) == (400, "validation_error")


@pytest.mark.parametrize("header", ["Key wrong:key", "Bearer sandbox-key:sandbox-secret", "sandbox-key:sandbox-secret"])
def test_a_key_that_is_not_accepted_is_refused(builtin: RunningSandbox, header: str) -> None:
    answer = builtin.client.get("/v1/models", headers={"Authorization": header})
    assert error_of(answer) == (401, "authorization_error")


def test_an_admin_key_may_list_too(admin: httpx.Client) -> None:
    assert admin.get("/v1/models").status_code == 200


@pytest.mark.parametrize("path", ["/v1/nothing", "/nothing", "/v1/models/unknown"])
def test_an_unknown_route_is_not_found(builtin: RunningSandbox, path: str) -> None:
    assert error_of(builtin.client.get(path)) == (404, "not_found")


def test_a_wrong_method_is_refused_in_the_same_shape(builtin: RunningSandbox) -> None:
    assert error_of(builtin.client.post("/v1/models")) == (405, "validation_error")
