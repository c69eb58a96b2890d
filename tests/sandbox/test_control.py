"""The control API: state, log, changes of models and catalog, reset."""

import asyncio
import gzip
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from genfeed.sandbox.app import create_app
from genfeed.sandbox.effects import EFFECTS
from genfeed.sandbox.faults import SWITCHES
from genfeed.sandbox.keys import keys_from_environment
from genfeed.sandbox.state import Sandbox
from tests.sandbox_server import ROOT, RunningSandbox, recorded_catalog

DEV = "fal-ai/flux/dev"


def find(sandbox: RunningSandbox, endpoint_id: str) -> dict[str, Any]:
    params = {"endpoint_id": endpoint_id, "expand": "openapi-3.0"}
    return sandbox.client.get("/v1/models", params=params).json()["models"][0]


def test_state_tells_what_is_offered(builtin: RunningSandbox) -> None:
    state = builtin.state()
    assert state["base_url"] == builtin.base_url
    assert state["catalog"] is None
    assert state["models"] >= state["listed"] >= 650
    assert state["listed"] > state["priced"] > 500


def test_the_log_tells_method_path_query_key_and_status(builtin: RunningSandbox, keyed: httpx.Client) -> None:
    builtin.client.get("/v1/models", params={"q": "flux", "limit": "x"})
    keyed.get("/v1/meta")
    assert builtin.requests() == [
        {
            "method": "GET",
            "path": "/v1/models",
            "query": "q=flux&limit=x",
            "had_key": False,
            "key_id": "",
            "status": 400,
            "fault": None,
        },
        {
            "method": "GET",
            "path": "/v1/meta",
            "query": "",
            "had_key": True,
            "key_id": "sandbox-key",
            "status": 200,
            "fault": None,
        },
    ]


def test_the_log_counts_calls(builtin: RunningSandbox) -> None:
    for _ in range(3):
        builtin.client.get("/v1/meta")
    assert builtin.request_counts() == {"GET /v1/meta": 3}


def test_the_log_can_be_forgotten(builtin: RunningSandbox) -> None:
    builtin.client.get("/v1/meta")
    builtin.clear_requests()
    assert builtin.requests() == []


def test_the_key_itself_is_not_logged(builtin: RunningSandbox, keyed: httpx.Client) -> None:
    keyed.get("/v1/meta")
    assert "sandbox-secret" not in builtin.client.get("/_sandbox/requests").text


def test_metadata_is_laid_over_the_present_one(builtin: RunningSandbox) -> None:
    before = find(builtin, DEV)["metadata"]
    builtin.patch_model(DEV, metadata={"display_name": "Renamed"})
    assert find(builtin, DEV)["metadata"] == before | {"display_name": "Renamed"}


def test_metadata_can_be_taken_away(builtin: RunningSandbox) -> None:
    builtin.patch_model(DEV, metadata=None)
    assert "metadata" not in find(builtin, DEV)


def test_a_change_leaves_the_date_unless_it_is_touched(builtin: RunningSandbox) -> None:
    before = find(builtin, DEV)["metadata"]["updated_at"]
    builtin.patch_model(DEV, openapi_patch={"info": {"title": "Changed"}})
    assert find(builtin, DEV)["metadata"]["updated_at"] == before
    builtin.patch_model(DEV, touch=True)
    assert find(builtin, DEV)["metadata"]["updated_at"] > before


def test_a_schema_can_be_patched_member_by_member(builtin: RunningSandbox) -> None:
    properties = {"num_images": {"maximum": 8}, "seed": None}
    builtin.patch_model(DEV, openapi_patch={"components": {"schemas": {"FluxDevInput": {"properties": properties}}}})
    patched = find(builtin, DEV)["openapi"]["components"]["schemas"]["FluxDevInput"]["properties"]
    assert patched["num_images"]["maximum"] == 8
    assert patched["num_images"]["minimum"] == 1
    assert "seed" not in patched


def test_a_schema_can_be_replaced(builtin: RunningSandbox) -> None:
    broken = {"error": {"code": "expansion_failed", "message": "gone"}}
    builtin.patch_model(DEV, openapi=broken)
    assert find(builtin, DEV)["openapi"] == broken


def test_a_price_is_laid_over_the_present_one(builtin: RunningSandbox, keyed: httpx.Client) -> None:
    builtin.patch_model(DEV, price={"unit_price": 0.5})
    (price,) = keyed.get("/v1/models/pricing", params={"endpoint_id": DEV}).json()["prices"]
    assert price == {"endpoint_id": DEV, "unit_price": 0.5, "unit": "megapixels", "currency": "USD"}


def test_a_deleted_model_is_gone_from_everywhere(builtin: RunningSandbox, keyed: httpx.Client) -> None:
    builtin.delete_model(DEV)
    assert builtin.client.get("/v1/models", params={"endpoint_id": DEV}).status_code == 404
    assert keyed.get("/v1/models/pricing", params={"endpoint_id": DEV}).status_code == 404
    assert builtin.client.get(f"/models/{DEV}/llms.txt").status_code == 404
    items = builtin.client.get("/api/models", params={"keywords": DEV, "size": 500}).json()["items"]
    assert DEV not in [item["id"] for item in items]


def test_an_added_model_is_listed(builtin: RunningSandbox) -> None:
    builtin.add_model({"endpoint_id": "acme/new", "metadata": {"category": "text-to-image"}})
    found = builtin.client.get("/v1/models", params={"endpoint_id": "acme/new"}).json()["models"]
    assert found[0]["metadata"]["category"] == "text-to-image"


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"endpoint_id": DEV}, "is there already"),
        ({}, "needs a non-empty string endpoint_id"),
        ({"endpoint_id": "a/b", "price": {"unit": "images"}}, "needs a number unit_price"),
        ({"endpoint_id": "a/b", "openapi": "none"}, "must be an object or null"),
    ],
)
def test_a_row_that_cannot_be_offered_is_refused(builtin: RunningSandbox, row: dict[str, Any], words: str) -> None:
    answer = builtin.client.post("/_sandbox/models", json=row)
    assert answer.status_code == 400
    assert words in answer.json()["error"]["message"]


def test_a_change_that_is_not_understood_is_refused(builtin: RunningSandbox) -> None:
    answer = builtin.client.post(f"/_sandbox/models/{DEV}", json={"prize": {}})
    assert answer.status_code == 400
    assert "Unknown part of a model: prize" in answer.json()["error"]["message"]


def test_an_unknown_model_cannot_be_changed(builtin: RunningSandbox) -> None:
    assert builtin.client.post("/_sandbox/models/nobody/knows", json={}).status_code == 404


def test_another_catalog_can_be_loaded(builtin: RunningSandbox) -> None:
    builtin.load_catalog(recorded_catalog("2026-01"))
    assert builtin.state()["listed"] == 768
    builtin.load_catalog(None)
    assert builtin.state()["catalog"] is None


@pytest.mark.parametrize("compress", [False, True])
def test_a_catalog_may_be_plain_or_compressed(builtin: RunningSandbox, tmp_path: Path, compress: bool) -> None:
    path = tmp_path / "catalog"
    text = orjson.dumps({"endpoint_id": "a/b", "metadata": {}, "openapi": None}) + b"\n\n"
    path.write_bytes(gzip.compress(text) if compress else text)
    builtin.load_catalog(path)
    assert builtin.state()["models"] == 1


@pytest.mark.parametrize("content", [b"{", b"[]", b'{"endpoint_id": 5}', b"\x1f\x8bbroken"])
def test_a_catalog_that_cannot_be_read_changes_nothing(builtin: RunningSandbox, tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "catalog"
    path.write_bytes(content)
    before = builtin.state()["models"]
    assert builtin.client.post("/_sandbox/catalog", json={"path": str(path)}).status_code == 400
    assert builtin.state()["models"] == before


def test_a_missing_catalog_is_refused(builtin: RunningSandbox, tmp_path: Path) -> None:
    answer = builtin.client.post("/_sandbox/catalog", json={"path": str(tmp_path / "none")})
    assert answer.status_code == 400
    assert "cannot be read" in answer.json()["error"]["message"]


def test_reset_brings_everything_back(builtin: RunningSandbox, tmp_path: Path) -> None:
    before = builtin.state() | {"uptime_seconds": 0}
    row = builtin.model(DEV)
    builtin.patch_model(DEV, status="deprecated", price=None)
    builtin.delete_model("fal-ai/flux/schnell")
    builtin.add_model({"endpoint_id": "acme/new"})
    builtin.faults(latency_ms=1, fail=[{"match": "nothing"}])
    builtin.client.get("/v1/meta")
    builtin.reset()
    assert builtin.state() | {"uptime_seconds": 0} == before
    assert builtin.model(DEV) == row


def test_another_machine_is_not_let_in() -> None:
    sandbox = Sandbox(base_url="http://sandbox.test", keys=keys_from_environment({}))
    transport = httpx.ASGITransport(create_app(sandbox), client=("192.0.2.1", 4711))

    async def ask() -> httpx.Response:
        async with httpx.AsyncClient(transport=transport, base_url=sandbox.base_url) as client:
            return await client.get("/_sandbox/state")

    answer = asyncio.run(ask())
    assert (answer.status_code, answer.json()["error"]["type"]) == (403, "authorization_error")


def test_faults_do_not_touch_the_control_api(builtin: RunningSandbox) -> None:
    builtin.faults(fail=[{"match": ".*", "drop": True}], error_rate=1, rate_limit={"requests": 0, "per_seconds": 99})
    assert builtin.state()["models"] > 0


@pytest.mark.parametrize("name", sorted(SWITCHES.keys() | EFFECTS.keys()))
def test_the_documentation_names_every_switch_and_effect(name: str) -> None:
    assert f"`{name}`" in (ROOT / "docs" / "sandbox.md").read_text()
