"""Every answer of the Platform API is one that fal's own OpenAPI document allows."""

from typing import Any

import pytest

from tests.sandbox.conftest import PlatformContract, client_with
from tests.sandbox_server import API_KEY, RunningSandbox


def listed_ids(sandbox: RunningSandbox) -> list[str]:
    ids: list[str] = []
    params: dict[str, str] = {}
    while True:
        page = sandbox.client.get("/v1/models", params=params).json()
        ids += [model["endpoint_id"] for model in page["models"]]
        if not page["has_more"]:
            return ids
        params = {"cursor": page["next_cursor"]}


def test_every_page_of_the_listing_keeps_the_contract(sandbox: RunningSandbox, contract: PlatformContract) -> None:
    params: dict[str, str] = {}
    for _ in range(100):
        answer = sandbox.client.get("/v1/models", params=params)
        contract.check(answer)
        if not answer.json()["has_more"]:
            return
        params = {"cursor": answer.json()["next_cursor"]}
    pytest.fail("the listing does not end")


def test_every_model_with_its_schema_keeps_the_contract(sandbox: RunningSandbox, contract: PlatformContract) -> None:
    ids = listed_ids(sandbox)
    for start in range(0, len(ids), 10):
        expand = ["openapi-3.0", "enterprise_status"]
        answer = sandbox.client.get("/v1/models", params={"endpoint_id": ids[start : start + 10], "expand": expand})
        contract.check(answer)
        assert len(answer.json()["models"]) == len(ids[start : start + 10])


def test_every_price_keeps_the_contract(sandbox: RunningSandbox, contract: PlatformContract) -> None:
    with client_with(sandbox, API_KEY) as client:
        for endpoint_id in listed_ids(sandbox):
            answer = client.get("/v1/models/pricing", params={"endpoint_id": endpoint_id})
            assert answer.status_code in (200, 404)
            contract.check(answer)


@pytest.mark.parametrize(
    ("status", "params"),
    [
        (200, {"q": "video", "category": "image-to-video", "status": "active"}),
        (200, {"endpoint_id": "fal-ai/flux/dev,fal-ai/flux/schnell", "q": "flux"}),
        (400, {"limit": "0"}),
        (400, {"limit": "many"}),
        (400, {"cursor": "!!"}),
        (400, {"status": "retired"}),
        (404, {"endpoint_id": "nobody/knows/this"}),
    ],
)
def test_search_and_its_refusals_keep_the_contract(
    sandbox: RunningSandbox, contract: PlatformContract, status: int, params: dict[str, str]
) -> None:
    answer = sandbox.client.get("/v1/models", params=params)
    assert answer.status_code == status
    contract.check(answer)


@pytest.mark.parametrize(
    ("key", "status", "params"),
    [
        (API_KEY, 200, {"endpoint_id": "fal-ai/flux/dev"}),
        (API_KEY, 400, {}),
        (API_KEY, 404, {"endpoint_id": "nobody/knows/this"}),
        ("wrong:key", 401, {"endpoint_id": "fal-ai/flux/dev"}),
    ],
)
def test_pricing_and_its_refusals_keep_the_contract(
    sandbox: RunningSandbox, contract: PlatformContract, key: str, status: int, params: dict[str, str]
) -> None:
    with client_with(sandbox, key) as client:
        answer = client.get("/v1/models/pricing", params=params)
    assert answer.status_code == status
    contract.check(answer)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, {"estimate_type": "unit_price", "endpoints": {"fal-ai/flux/dev": {"unit_quantity": 50}}}),
        (200, {"estimate_type": "historical_api_price", "endpoints": {"fal-ai/flux/dev": {"call_quantity": 3}}}),
        (400, {"estimate_type": "guess", "endpoints": {"fal-ai/flux/dev": {"call_quantity": 3}}}),
        (404, {"estimate_type": "unit_price", "endpoints": {"nobody/knows": {"unit_quantity": 1}}}),
    ],
)
def test_estimates_and_their_refusals_keep_the_contract(
    sandbox: RunningSandbox, contract: PlatformContract, status: int, body: dict[str, Any]
) -> None:
    with client_with(sandbox, API_KEY) as client:
        answer = client.post("/v1/models/pricing/estimate", json=body)
    assert answer.status_code == status
    contract.check(answer)


@pytest.mark.parametrize("path", ["/v1/models", "/v1/meta"])
@pytest.mark.parametrize("status", [429, 500])
def test_injected_errors_keep_the_contract(
    sandbox: RunningSandbox, contract: PlatformContract, path: str, status: int
) -> None:
    sandbox.faults(fail=[{"match": "/v1/", "status": status}])
    answer = sandbox.client.get(path)
    assert answer.status_code == status
    contract.check(answer)


def test_meta_keeps_the_contract(sandbox: RunningSandbox, contract: PlatformContract) -> None:
    contract.check(sandbox.client.get("/v1/meta"))


def test_a_bad_key_is_refused_on_the_listing_too(sandbox: RunningSandbox, contract: PlatformContract) -> None:
    with client_with(sandbox, "wrong:key") as client:
        answer = client.get("/v1/models")
    assert answer.status_code == 401
    assert answer.json()["error"]["type"] == "authorization_error"
    contract.check(answer)
