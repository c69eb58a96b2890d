"""fal's Platform API under /v1: models, prices, price estimates, meta (fal Platform OpenAPI 3.1)."""

from collections.abc import Iterable, Sequence
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from genfeed.sandbox.answers import PlatformError, encoded_answer, json_answer
from genfeed.sandbox.catalog import NOT_AVAILABLE_BYTES, Model, enterprise_status
from genfeed.sandbox.estimates import total_cost
from genfeed.sandbox.keys import Scope, require_key, scope_of
from genfeed.sandbox.listing import Page, cut, cut_with_faults, decode_cursor
from genfeed.sandbox.state import Sandbox

MOST_IDS = 50
PAGE_CAP = 100
SCHEMA_PAGE_CAP = 10
OPENAPI, ENTERPRISE = "openapi-3.0", "enterprise_status"
FETCH_FAILED_BYTES = b'{"error":{"code":"expansion_failed","message":"Failed to fetch OpenAPI schema"}}'
WEBHOOK_IP_RANGES = ["127.0.0.1/32", "::1/128"]


async def list_models(request: Request) -> Response:
    """GET /v1/models: list, find (`endpoint_id`) and search modes; where combined they intersect."""
    sandbox: Sandbox = request.app.state.sandbox
    has_key = scope_of(request, sandbox.keys) is not Scope.ANONYMOUS
    expand = _expansions(request)
    ids = _endpoint_ids(request)
    number = decode_cursor(request.query_params["cursor"]) if "cursor" in request.query_params else 1
    size = _page_size(request, with_schemas=OPENAPI in expand, is_find=bool(ids))
    if ids:
        found = [sandbox.models[one] for one in ids if one in sandbox.models]
        if not found:
            raise PlatformError(404, f"Resource not found: {', '.join(ids)}")
        page = cut(_search(request, found), number, size)
    else:
        listed = [model for model in sandbox.models.values() if model.metadata is not None]
        page = cut_with_faults(_search(request, listed), number, size, sandbox.faults)
    failing = frozenset(sandbox.faults.expansion_errors)
    return encoded_answer(_encode_page(page, expand=expand, has_key=has_key, failing=failing))


async def list_prices(request: Request) -> Response:
    """GET /v1/models/pricing: one id without a price makes the whole batch a 404 (observed, not documented)."""
    sandbox: Sandbox = request.app.state.sandbox
    require_key(request, sandbox.keys)
    ids = _endpoint_ids(request)
    if not ids:
        raise PlatformError(400, "Invalid request parameters: endpoint_id is required")
    prices = [_price_of(sandbox, one) for one in ids]
    return json_answer({"prices": prices, "next_cursor": None, "has_more": False})


async def estimate_price(request: Request) -> Response:
    """POST /v1/models/pricing/estimate: one total for all endpoints; far stricter rate limit than the other calls."""
    sandbox: Sandbox = request.app.state.sandbox
    require_key(request, sandbox.keys)
    wait = sandbox.admit("estimate", sandbox.faults.estimate_rate_limit)
    if wait is not None:
        raise PlatformError(429, "Rate limit exceeded", retry_after=wait)
    try:
        body = orjson.loads(await request.body())
    except orjson.JSONDecodeError as error:
        raise PlatformError(400, "Invalid request parameters: the body is not JSON") from error
    estimate_type, total = total_cost(body, lambda one: _price_of(sandbox, one))
    return json_answer({"estimate_type": estimate_type, "total_cost": total, "currency": "USD"})


async def meta(request: Request) -> Response:
    """GET /v1/meta: where webhooks come from; here that is this machine."""
    scope_of(request, request.app.state.sandbox.keys)
    return json_answer({"webhook_ip_ranges": WEBHOOK_IP_RANGES})


def _expansions(request: Request) -> frozenset[str]:
    """The values of `expand`. The bracketed `expand[]` is another name and so has no effect, as at fal."""
    values = frozenset(request.query_params.getlist("expand"))
    unknown = values - {OPENAPI, ENTERPRISE}
    if unknown:
        raise PlatformError(400, f"Invalid request parameters: expand does not know {', '.join(sorted(unknown))}")
    return values


def _endpoint_ids(request: Request) -> list[str]:
    """The values of `endpoint_id`, repeated or separated by commas, each once."""
    given = request.query_params.getlist("endpoint_id")
    ids = list(dict.fromkeys(one.strip() for value in given for one in value.split(",") if one.strip()))
    if given and not ids:
        raise PlatformError(400, "Invalid request parameters: endpoint_id is empty")
    if len(ids) > MOST_IDS:
        raise PlatformError(400, f"Invalid request parameters: endpoint_id takes 1 to {MOST_IDS} values")
    return ids


def _page_size(request: Request, *, with_schemas: bool, is_find: bool) -> int:
    """Observed at fal: 100 a page, 10 with schemas, and a listing that asks for more schemas is refused."""
    cap = SCHEMA_PAGE_CAP if with_schemas else PAGE_CAP
    text = request.query_params.get("limit")
    if text is None:
        return cap
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise PlatformError(400, "Invalid request parameters: limit must be an integer of 1 or more")
    if with_schemas and not is_find and int(text) > cap:
        raise PlatformError(400, f"Invalid request parameters: limit must be at most {cap} with expand={OPENAPI}")
    return min(int(text), cap)


def _search(request: Request, models: Sequence[Model]) -> Sequence[Model]:
    params = request.query_params
    if params.get("status", "active") not in ("active", "deprecated"):
        raise PlatformError(400, "Invalid request parameters: status must be active or deprecated")
    if category := params.get("category"):
        models = [model for model in models if model.metadata and model.metadata["category"] == category]
    if status := params.get("status"):
        models = [model for model in models if model.metadata and model.metadata["status"] == status]
    if words := params.get("q", "").lower().split():
        models = [model for model in models if all(word in model.haystack for word in words)]
    return models


def _encode_page(page: Page, *, expand: frozenset[str], has_key: bool, failing: frozenset[str]) -> bytes:
    encoded = b",".join(_encode_models(page.models, expand=expand, has_key=has_key, failing=failing))
    cursor = orjson.dumps(page.next_cursor)
    has_more = b"true" if page.next_cursor else b"false"
    return b'{"models":[' + encoded + b'],"next_cursor":' + cursor + b',"has_more":' + has_more + b"}"


def _encode_models(
    models: Sequence[Model], *, expand: frozenset[str], has_key: bool, failing: frozenset[str]
) -> Iterable[bytes]:
    for model in models:
        parts = [model.head_keyed if has_key else model.head_anonymous]
        if OPENAPI in expand:
            document = FETCH_FAILED_BYTES if model.endpoint_id in failing else model.openapi or NOT_AVAILABLE_BYTES
            parts += (b',"openapi":', document)
        if ENTERPRISE in expand:
            parts += (b',"enterprise_status":', enterprise_status(model.endpoint_id))
        parts.append(b"}")
        yield b"".join(parts)


def _price_of(sandbox: Sandbox, endpoint_id: str) -> dict[str, Any]:
    model = sandbox.models.get(endpoint_id)
    if model is None or model.price is None:
        raise PlatformError(404, f"Resource not found: no pricing for {endpoint_id}")
    return model.price


ROUTES = [
    Route("/v1/models", list_models),
    Route("/v1/models/pricing", list_prices),
    Route("/v1/models/pricing/estimate", estimate_price, methods=["POST"]),
    Route("/v1/meta", meta),
]
