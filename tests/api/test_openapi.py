"""The API's own description: complete, true, and readable without the internet."""

import re
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from typing import Any

import jsonschema_rs
import pytest
from django.http import HttpResponse
from django.test import Client as HttpClient

from catalog import discovery
from catalog.models import SyncRun
from genfeed.clients.models import ApiKey
from pricing.models import SellingPrice
from tests.factories import make_model, make_provider, publish_now

pytestmark = [pytest.mark.django_db, pytest.mark.once]

METHODS = {"get", "post", "put", "patch", "delete"}


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    """As anybody gets it, without a key; nobody changes it."""
    return HttpClient().get("/api/v1/openapi.json").json()


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in document["paths"].items():
        for method in METHODS & set(item):
            yield method, path, item[method]


def test_it_is_openapi_3_1(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1")
    assert document["info"]["title"] == "GenFeed"


def test_it_describes_every_operation_there_is(document: dict[str, Any]) -> None:
    assert {(method, path) for method, path, _ in operations(document)} == {
        ("get", "/api/v1/models"),
        ("get", "/api/v1/models/fal"),
        ("get", "/api/v1/models/{model_id}"),
        ("get", "/api/v1/models/{model_id}/price-history"),
        ("get", "/api/v1/catalog/export"),
        ("get", "/api/v1/providers"),
        ("get", "/api/v1/status"),
        ("get", "/api/v1/provider-keys"),
        ("put", "/api/v1/provider-keys/{provider}"),
        ("delete", "/api/v1/provider-keys/{provider}"),
        ("post", "/api/v1/provider-keys/{provider}/check"),
        ("get", "/api/v1/balance"),
        ("get", "/api/v1/budgets"),
        ("put", "/api/v1/budgets"),
        ("get", "/api/v1/usage"),
        ("get", "/api/v1/statements/{month}"),
        ("post", "/api/v1/estimates"),
        ("post", "/api/v1/workflows/estimate"),
        ("post", "/api/v1/models/select"),
        ("get", "/api/v1/jobs"),
        ("post", "/api/v1/jobs"),
        ("get", "/api/v1/jobs/{job_id}"),
        ("post", "/api/v1/jobs/{job_id}/cancel"),
        ("get", "/api/v1/jobs/{job_id}/events"),
        ("get", "/api/v1/assets"),
        ("get", "/api/v1/events"),
        ("get", "/api/v1/batches"),
        ("post", "/api/v1/batches"),
        ("get", "/api/v1/batches/{batch_id}"),
        ("post", "/api/v1/batches/{batch_id}/cancel"),
        ("get", "/api/v1/workflows"),
        ("post", "/api/v1/workflows"),
        ("get", "/api/v1/workflows/{workflow_id}"),
        ("post", "/api/v1/workflows/{workflow_id}/cancel"),
        ("get", "/api/v1/workflow-templates"),
        ("post", "/api/v1/workflow-templates"),
        ("get", "/api/v1/workflow-templates/{template_id}"),
        ("put", "/api/v1/workflow-templates/{template_id}"),
        ("delete", "/api/v1/workflow-templates/{template_id}"),
        ("get", "/api/v1/assets/{asset_id}"),
        ("delete", "/api/v1/assets/{asset_id}"),
        ("get", "/api/v1/webhook-endpoints"),
        ("post", "/api/v1/webhook-endpoints"),
        ("get", "/api/v1/webhook-endpoints/{endpoint_id}"),
        ("patch", "/api/v1/webhook-endpoints/{endpoint_id}"),
        ("delete", "/api/v1/webhook-endpoints/{endpoint_id}"),
        ("post", "/api/v1/webhook-endpoints/{endpoint_id}/rotate-secret"),
        ("post", "/api/v1/webhook-endpoints/{endpoint_id}/test"),
        ("get", "/api/v1/webhook-endpoints/{endpoint_id}/deliveries"),
        ("get", "/api/v1/webhook-deliveries"),
        ("post", "/api/v1/webhook-deliveries/{delivery_id}/resend"),
        ("get", "/api/v1/webhook-secret"),
        ("post", "/api/v1/webhook-secret/rotate"),
        ("post", "/api/v1/uploads"),
        ("get", "/api/v1/uploads/{asset_id}"),
        ("delete", "/api/v1/uploads/{asset_id}"),
        ("post", "/api/v1/uploads/resumable"),
        ("patch", "/api/v1/uploads/resumable/{asset_id}"),
        ("delete", "/api/v1/uploads/resumable/{asset_id}"),
        ("post", "/api/v1/admin/erasures"),
        ("post", "/api/v1/browser-tokens"),
        ("get", "/api/v1/keys"),
        ("post", "/api/v1/keys"),
        ("get", "/api/v1/keys/{key_id}"),
        ("post", "/api/v1/keys/{key_id}/rotate"),
        ("post", "/api/v1/keys/{key_id}/revoke"),
        ("get", "/api/v1/admin/models"),
        ("post", "/api/v1/admin/models/bulk-toggle"),
        ("post", "/api/v1/admin/models/{model_id}/toggle"),
        ("get", "/api/v1/admin/models/{model_id}/health"),
        ("get", "/api/v1/admin/recommendations"),
        ("get", "/api/v1/admin/stats"),
        ("get", "/api/v1/admin/sync"),
        ("post", "/api/v1/admin/sync"),
        ("get", "/api/v1/admin/sync/{run_id}"),
    }


def test_every_operation_is_named_summarised_and_explained(document: dict[str, Any]) -> None:
    names = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(names) == len(set(names))
    for _, path, operation in operations(document):
        assert operation["summary"], path
        assert operation["description"].endswith("."), path
        assert operation["tags"], path


def test_every_operation_says_how_to_identify_oneself(document: dict[str, Any]) -> None:
    (name,) = document["components"]["securitySchemes"]
    assert document["components"]["securitySchemes"][name] == {"type": "http", "scheme": "bearer"}
    for _, path, operation in operations(document):
        assert operation["security"] == [{name: []}], path


def test_every_operation_shows_its_errors_in_the_one_shape(document: dict[str, Any]) -> None:
    for _, path, operation in operations(document):
        assert {"400", "401", "403", "404"} <= set(operation["responses"]), path
        for status, response in operation["responses"].items():
            if status == "204":
                assert "content" not in response, path
                continue
            schema = response["content"]["application/json"]["schema"]
            assert (schema == {"$ref": "#/components/schemas/ErrorShape"}) is (status >= "400"), (path, status)


def test_every_parameter_of_a_path_is_described(document: dict[str, Any]) -> None:
    for _, path, operation in operations(document):
        described = {item["name"] for item in operation.get("parameters", []) if item["in"] == "path"}
        assert described == set(re.findall(r"{(\w+)}", path))


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    found = set(re.findall(r"#/components/schemas/(\w+)", str(document)))

    assert found == set(document["components"]["schemas"]) & found
    assert found


def validator(document: dict[str, Any], method: str, path: str, status: int) -> Any:
    response = document["paths"][path][method]["responses"][str(status)]
    schema = response["content"]["application/json"]["schema"]
    return jsonschema_rs.Draft202012Validator(schema | {"components": document["components"]}, validate_formats=True)


@pytest.fixture
def catalog(monkeypatch: pytest.MonkeyPatch) -> SyncRun:
    monkeypatch.setattr(discovery, "_enqueue", lambda _: None)
    flux = make_model(
        "fal-ai/flux/dev", thumbnail_url="https://example.com/a.jpg", tags=["new"], limits={"max_images": 4}
    )
    for unit_cost in ("", "0.025"):
        SellingPrice.objects.create(model=flux, price=flux.price, unit_cost=unit_cost)
    make_model("fal-ai/retired", status="retired")
    make_model("fal-ai/no-schema", schema_version=0, schema_state="missing", category="", media_type="other")
    make_model("fal-ai/two")
    make_model("fal-ai/two", provider="replicate")
    publish_now()
    return SyncRun.objects.create(
        provider=make_provider(), status="succeeded", trigger="schedule", report={"added": []}
    )


_ASKED = {"model": "fal-ai/flux/dev", "input": {"prompt": "a"}}
_STEP = {"name": "a", **_ASKED}
ANSWERS = [
    ("post", "/api/v1/estimates", "/api/v1/estimates", _ASKED, 200),
    ("post", "/api/v1/estimates", "/api/v1/estimates", {**_ASKED, "probe": True}, 200),
    ("post", "/api/v1/estimates", "/api/v1/estimates", {"items": [_ASKED, {"model": "no/such"}, 5]}, 200),
    ("post", "/api/v1/estimates", "/api/v1/estimates", {**_ASKED, "input": {"promt": "a"}}, 422),
    ("post", "/api/v1/estimates", "/api/v1/estimates", {"items": []}, 400),
    ("post", "/api/v1/estimates", "/api/v1/estimates", {"model": "no/such"}, 404),
    ("post", "/api/v1/estimates", "/api/v1/estimates", {"model": "fal-ai/two", "input": {"prompt": "a"}}, 409),
    ("post", "/api/v1/workflows/estimate", "/api/v1/workflows/estimate", {"steps": [_STEP]}, 200),
    ("post", "/api/v1/workflows/estimate", "/api/v1/workflows/estimate", {"steps": [_STEP, _STEP]}, 400),
    ("post", "/api/v1/workflows/estimate", "/api/v1/workflows/estimate", {"steps": [{**_STEP, "input": {}}]}, 422),
    ("post", "/api/v1/models/select", "/api/v1/models/select", {"task": "text-to-image"}, 200),
    ("post", "/api/v1/models/select", "/api/v1/models/select", {"task": "text-to-image", "max_price": "0.001"}, 404),
    ("post", "/api/v1/models/select", "/api/v1/models/select", {"task": "juggling"}, 400),
    ("get", "/api/v1/models", "/api/v1/models", None, 200),
    ("get", "/api/v1/models", "/api/v1/models?limit=1", None, 200),
    ("get", "/api/v1/models", "/api/v1/models?limit=0", None, 400),
    ("get", "/api/v1/models", "/api/v1/models?nothing=1", None, 400),
    ("get", "/api/v1/models/fal", "/api/v1/models/fal", None, 200),
    ("get", "/api/v1/models/{model_id}", "/api/v1/models/fal-ai/flux/dev", None, 200),
    ("get", "/api/v1/models/{model_id}", "/api/v1/models/fal-ai/no-schema", None, 200),
    ("get", "/api/v1/models/{model_id}", "/api/v1/models/fal-ai/none", None, 404),
    ("get", "/api/v1/models/{model_id}", "/api/v1/models/fal-ai/two", None, 409),
    (
        "get", "/api/v1/models/{model_id}/price-history", "/api/v1/models/fal-ai/flux/dev/price-history", None, 200,
    ),
    ("get", "/api/v1/models/{model_id}/price-history", "/api/v1/models/fal-ai/none/price-history", None, 404),
    ("get", "/api/v1/admin/models/{model_id}/health", "/api/v1/admin/models/fal-ai/flux/dev/health", None, 200),
    ("get", "/api/v1/admin/models/{model_id}/health", "/api/v1/admin/models/fal-ai/none/health", None, 404),
    ("get", "/api/v1/providers", "/api/v1/providers", None, 200),
    ("get", "/api/v1/balance", "/api/v1/balance", None, 200),
    ("get", "/api/v1/budgets", "/api/v1/budgets", None, 200),
    ("put", "/api/v1/budgets", "/api/v1/budgets", {"budgets": [{"period": "day", "limit": "5"}]}, 200),
    ("put", "/api/v1/budgets", "/api/v1/budgets", {"budgets": [{"period": "day", "limit": "-5"}]}, 400),
    ("get", "/api/v1/usage", "/api/v1/usage?client=*&group_by=day,model,key", None, 200),
    ("get", "/api/v1/usage", "/api/v1/usage?group_by=weather", None, 400),
    ("get", "/api/v1/statements/{month}", "/api/v1/statements/2026-01", None, 200),
    ("get", "/api/v1/statements/{month}", "/api/v1/statements/now", None, 400),
    ("get", "/api/v1/keys", "/api/v1/keys", None, 200),
    ("get", "/api/v1/keys", "/api/v1/keys?cursor=x", None, 400),
    ("post", "/api/v1/keys", "/api/v1/keys", {"scopes": ["keys"], "expires_at": "2090-01-01T00:00:00Z"}, 201),
    ("post", "/api/v1/keys", "/api/v1/keys", {"scopes": ["admin"]}, 403),
    ("get", "/api/v1/keys/{key_id}", "/api/v1/keys/KEY", None, 200),
    ("get", "/api/v1/keys/{key_id}", "/api/v1/keys/key_0", None, 404),
    ("post", "/api/v1/keys/{key_id}/rotate", "/api/v1/keys/KEY/rotate", {"overlap_seconds": 60}, 201),
    ("post", "/api/v1/keys/{key_id}/revoke", "/api/v1/keys/KEY/revoke", None, 200),
    ("get", "/api/v1/admin/models", "/api/v1/admin/models", None, 200),
    ("post", "/api/v1/admin/models/{model_id}/toggle", "/api/v1/admin/models/fal-ai/flux/dev/toggle", {}, 200),
    ("post", "/api/v1/admin/models/{model_id}/toggle", "/api/v1/admin/models/fal-ai/retired/toggle", {}, 200),
    ("post", "/api/v1/admin/models/{model_id}/toggle", "/api/v1/admin/models/fal-ai/two/toggle", {}, 409),
    (
        "post", "/api/v1/admin/models/bulk-toggle", "/api/v1/admin/models/bulk-toggle",
        {"ids": ["fal-ai/flux/dev"], "enabled": False}, 200,
    ),
    (
        "post", "/api/v1/admin/models/bulk-toggle", "/api/v1/admin/models/bulk-toggle",
        {"ids": ["no/such"], "enabled": False}, 404,
    ),
    ("get", "/api/v1/admin/sync", "/api/v1/admin/sync", None, 200),
    ("post", "/api/v1/admin/sync", "/api/v1/admin/sync", {}, 202),
    ("get", "/api/v1/admin/sync/{run_id}", "/api/v1/admin/sync/RUN", None, 200),
    ("get", "/api/v1/admin/sync/{run_id}", "/api/v1/admin/sync/0", None, 404),
]  # fmt: skip


def call(client: HttpClient, method: str, address: str, body: Any) -> HttpResponse:
    if method == "get":
        return client.get(address)
    return getattr(client, method)(address, body, content_type="application/json")


@pytest.mark.parametrize(("method", "path", "address", "body", "status"), ANSWERS)
def test_a_real_answer_is_as_the_document_says(
    document: dict[str, Any], catalog: SyncRun, admin_api: HttpClient,
    method: str, path: str, address: str, body: Any, status: int,
) -> None:  # fmt: skip
    address = address.replace("RUN", str(catalog.pk)).replace("KEY", ApiKey.objects.get().public_id)
    answer = call(admin_api, method, address, body)

    assert answer.status_code == status, answer.content
    problems = [error.message for error in validator(document, method, path, status).iter_errors(answer.json())]
    assert problems == []


@pytest.mark.parametrize(("client_name", "status"), [("anonymous", 401), ("api", 403)])
def test_a_refusal_is_as_the_document_says(
    document: dict[str, Any], request: pytest.FixtureRequest, client_name: str, status: int
) -> None:
    client = HttpClient() if client_name == "anonymous" else request.getfixturevalue(client_name)

    for method, path, _ in operations(document):
        if not path.startswith("/api/v1/admin/"):
            continue
        answer = call(client, method, path.replace("{run_id}", "1").replace("{model_id}", "a/b"), {})
        assert answer.status_code == status, path
        assert validator(document, method, path, status).is_valid(answer.json()), path


def test_the_document_would_notice_a_missing_field(document: dict[str, Any], api: HttpClient, catalog: SyncRun) -> None:
    body = api.get("/api/v1/models").json()
    del body["items"][0]["price"]

    assert not validator(document, "get", "/api/v1/models", 200).is_valid(body)


class Sources(HTMLParser):
    """Every address that a page makes a browser load, and its inline scripts and styles."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.inline: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        values = dict(attributes)
        self.addresses += [values[name] or "" for name in ("src", "href") if name in values]
        if tag == "style" or "style" in values or any(name.startswith("on") for name in values):
            self.inline.append(tag)
        if tag == "script" and "src" not in values and values.get("type") != "application/json":
            self.inline.append(tag)


@pytest.fixture
def docs(client: HttpClient) -> HttpResponse:
    answer = client.get("/api/v1/docs")
    assert answer.status_code == 200
    return answer


def test_the_docs_page_loads_nothing_from_a_foreign_host(docs: HttpResponse) -> None:
    sources = Sources(docs.content.decode())

    assert len(sources.addresses) >= 3
    assert [address for address in sources.addresses if not re.match(r"/(?!/)", address)] == []
    assert "/api/v1/openapi.json" in docs.content.decode()


def test_everything_that_the_docs_page_loads_is_there(docs: HttpResponse, client: HttpClient) -> None:
    for address in Sources(docs.content.decode()).addresses:
        answer = client.get(address)
        assert answer.status_code == 200, address
        answer.close()


def test_the_docs_page_obeys_the_content_security_policy(docs: HttpResponse) -> None:
    policy = docs.headers["Content-Security-Policy"]

    assert "unsafe-inline" not in policy
    assert "unsafe-eval" not in policy
    assert Sources(docs.content.decode()).inline == []


def test_the_document_holds_no_secret(document: dict[str, Any], make_key: Callable[..., str], settings: Any) -> None:
    assert settings.FAL_KEY not in str(document)
    assert settings.SECRET_KEY not in str(document)
