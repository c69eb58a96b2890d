"""What fal's web site answers without a key: the gallery's list, llms.txt pages, one OpenAPI document."""

from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from genfeed.sandbox.answers import encoded_answer, json_answer
from genfeed.sandbox.catalog import Model
from genfeed.sandbox.state import Sandbox

USUAL_SIZE = 40
LARGEST_SIZE = 500
PRICING_LINK = "For more details, see [fal.ai pricing](https://fal.ai/pricing)."


async def list_gallery(request: Request) -> Response:
    """GET /api/models?page=&size=&keywords=: every model with its price text, pages counted from 1."""
    sandbox: Sandbox = request.app.state.sandbox
    page = _positive(request.query_params.get("page"), usual=1)
    size = min(_positive(request.query_params.get("size"), usual=USUAL_SIZE), LARGEST_SIZE)
    words = request.query_params.get("keywords", "").lower().split()
    listed = [
        model
        for model in sandbox.models.values()
        if model.metadata is not None and all(word in model.haystack or word in model.endpoint_id for word in words)
    ]
    items = [_item(model) for model in listed[(page - 1) * size : page * size]]
    pages = -(-len(listed) // size)
    return json_answer({"items": items, "page": page, "pages": pages, "size": size, "total": len(listed)})


async def show_llms_text(request: Request) -> Response:
    """GET /models/<id>/llms.txt: a model described in Markdown, with its price text."""
    sandbox: Sandbox = request.app.state.sandbox
    model = sandbox.models.get(request.path_params["endpoint_id"])
    if model is None or model.metadata is None:
        return PlainTextResponse("Not Found", status_code=404)
    return Response(_llms_text(model), media_type="text/markdown; charset=utf-8")


async def show_openapi(request: Request) -> Response:
    """GET /api/openapi/queue/openapi.json?endpoint_id=<id>: the document that the expansion gives too."""
    sandbox: Sandbox = request.app.state.sandbox
    model = sandbox.models.get(request.query_params.get("endpoint_id", ""))
    if model is None or model.openapi is None or model.openapi.startswith(b'{"error":'):
        return json_answer({"detail": "Not found"}, 404)
    return encoded_answer(model.openapi)


def _positive(text: str | None, *, usual: int) -> int:
    """A page number or size; the gallery answers nonsense with its usual value."""
    if text is None or not text.isascii() or not text.isdigit():
        return usual
    return max(1, int(text))


def _item(model: Model) -> dict[str, Any]:
    metadata = model.metadata or {}
    owner, *_ = model.endpoint_id.split("/")
    group = metadata.get("group") or {}
    return {
        "id": model.endpoint_id,
        "title": metadata["display_name"],
        "category": metadata["category"],
        "tags": metadata["tags"],
        "shortDescription": metadata["description"],
        "thumbnailUrl": metadata["thumbnail_url"],
        "modelUrl": metadata["model_url"],
        "licenseType": metadata.get("license_type"),
        "date": metadata["date"],
        "group": metadata.get("group"),
        "kind": metadata.get("kind", "inference"),
        "machineType": model.machine_type,
        "pricingInfoOverride": model.price_note,
        "billingMessage": model.billing_message,
        "modelFamily": group.get("key"),
        "modelLab": owner,
        "status": "public",
        "deprecated": metadata["status"] == "deprecated",
        "removed": False,
    }


def _llms_text(model: Model) -> str:
    metadata = model.metadata or {}
    blocks = [
        f"# {metadata['display_name']}",
        f"> {metadata['description']}",
        "## Overview",
        "\n".join(
            [
                f"- **Endpoint**: `{metadata['model_url']}`",
                f"- **Model ID**: `{model.endpoint_id}`",
                f"- **Category**: {metadata['category']}",
                f"- **Kind**: {metadata.get('kind', 'inference')}",
            ]
        ),
    ]
    if pricing := _pricing(model):
        blocks += ["## Pricing", pricing, PRICING_LINK]
    return "\n\n".join([*blocks, "## API Information", _inputs(model)]) + "\n"


def _pricing(model: Model) -> str | None:
    """The price text where there is one, else a line made of the price row."""
    if model.price_note:
        return model.price_note
    if model.price is None:
        return None
    unit_price = 0 if model.price["unit"] == "compute seconds" else model.price["unit_price"]
    return f"- **Price**: ${unit_price} per {model.price['unit']}"


def _inputs(model: Model) -> str:
    """The names and types of the input fields."""
    if model.openapi is None:
        return "The schema is not available."
    schemas = orjson.loads(model.openapi).get("components", {}).get("schemas", {})
    schema: dict[str, Any] = next((body for name, body in schemas.items() if name.endswith("Input")), {})
    required = schema.get("required", [])
    lines = [
        f"- **`{name}`** (`{field.get('type', 'any')}`, {'_required_' if name in required else '_optional_'})"
        for name, field in schema.get("properties", {}).items()
    ]
    return "\n".join(["### Input Schema", "", *lines])


ROUTES = [
    Route("/api/models", list_gallery),
    Route("/api/openapi/queue/openapi.json", show_openapi),
    Route("/models/{endpoint_id:path}/llms.txt", show_llms_text),
]
