"""The control API under /_sandbox/: what was asked, what goes wrong, what the catalog holds. Loopback only, no key."""

import ipaddress
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from genfeed.sandbox.answers import PlatformError, json_answer
from genfeed.sandbox.catalog import CatalogError
from genfeed.sandbox.faults import apply_changes
from genfeed.sandbox.keys import Account, Scope
from genfeed.sandbox.queue import control as queue
from genfeed.sandbox.queue.running import fill
from genfeed.sandbox.reading import FaultError
from genfeed.sandbox.requestlog import RequestLog
from genfeed.sandbox.state import Sandbox

Handler = Callable[[Request, Sandbox], Awaitable[Response]]
ROW_KEYS = ("price_note", "billing_message", "machine_type")


async def show_state(_request: Request, sandbox: Sandbox) -> Response:
    """GET /_sandbox/state: what this server offers and which faults are on."""
    models = sandbox.models.values()
    return json_answer(
        {
            "base_url": sandbox.base_url,
            "catalog": str(sandbox.catalog_path) if sandbox.catalog_path else None,
            "models": len(models),
            "listed": sum(model.metadata is not None for model in models),
            "priced": sum(model.price is not None for model in models),
            "latency_ms": sandbox.latency_seconds() * 1000,
            "faults": sandbox.faults.to_json(),
            "requests": sandbox.log.counts.total(),
            "uptime_seconds": round(time.time() - sandbox.started, 3),
        }
    )


async def requests_log(request: Request, sandbox: Sandbox) -> Response:
    """GET and DELETE /_sandbox/requests: the calls since the last reset; forget them."""
    if request.method == "DELETE":
        sandbox.log = RequestLog()
    return json_answer(sandbox.log.to_json())


async def faults(request: Request, sandbox: Sandbox) -> Response:
    """GET, POST and DELETE /_sandbox/faults: show the switches; set those named; switch all off."""
    if request.method == "DELETE":
        sandbox.clear_faults()
    if request.method == "POST":
        apply_changes(sandbox.faults, await _read_object(request))
        sandbox.windows.clear()
    if request.method != "GET":
        fill(sandbox)
    return json_answer(sandbox.faults.to_json())


async def accounts(request: Request, sandbox: Sandbox) -> Response:
    """POST /_sandbox/accounts {"key", "name", "balance", "admin"}: one more account with one key, or other terms."""
    asked = await _read_object(request)
    key, name = asked.get("key"), asked.get("name")
    if not isinstance(key, str) or not isinstance(name, str) or not key or not name:
        raise PlatformError(400, "An account has a key and a name")
    scope = Scope.ADMIN if asked.get("admin") else Scope.API
    sandbox.keys.others[key] = Account(name, scope, float(asked.get("balance", 1_000)))
    return json_answer({"name": name, "scope": scope.value})


async def move_request(request: Request, sandbox: Sandbox) -> Response:
    """POST /_sandbox/queue/<id>: move a request by hand."""
    moved = queue.move(sandbox, request.path_params["request_id"], await _read_object(request))
    return json_answer({"request_id": moved.request_id, "status": moved.status})


async def add_model(request: Request, sandbox: Sandbox) -> Response:
    """POST /_sandbox/models: offer one more model; the body is a row of a catalog file, metadata may be short."""
    model = sandbox.add_model(await _read_object(request))
    return json_answer(model.to_row(), 201)


async def change_model(request: Request, sandbox: Sandbox) -> Response:
    """GET, POST and DELETE /_sandbox/models/<id>: show a row; change it; take the model away from everywhere.

    A change may hold: `metadata` (laid over the present one; null removes it), `status`, `openapi` (replaces it),
    `openapi_patch` (JSON merge patch, RFC 7396), `price` (laid over; null removes it), `price_note`, `billing_message`,
    `machine_type`, and `touch` (true: updated_at becomes now; else it stays, as fal's often does).
    """
    endpoint_id = request.path_params["endpoint_id"]
    model = sandbox.models.get(endpoint_id)
    if model is None:
        raise PlatformError(404, f"There is no model {endpoint_id}")
    if request.method == "DELETE":
        sandbox.remove_model(endpoint_id)
        return json_answer({"deleted": endpoint_id})
    row = model.to_row()
    if request.method == "POST":
        row = sandbox.replace_model(_changed(row, await _read_object(request))).to_row()
    return json_answer(row)


async def load_catalog(request: Request, sandbox: Sandbox) -> Response:
    """POST /_sandbox/catalog {"path": …}: offer another catalog file; null: the built-in models."""
    path = (await _read_object(request)).get("path")
    sandbox.load_catalog(None if path is None else Path(path))
    return json_answer({"catalog": path, "models": len(sandbox.models)})


async def reset(_request: Request, sandbox: Sandbox) -> Response:
    """POST /_sandbox/reset: catalog, faults and log as they were at the start."""
    sandbox.reset()
    return json_answer({"models": len(sandbox.models)})


def _changed(row: dict[str, Any], change: dict[str, Any]) -> dict[str, Any]:
    known = {"metadata", "status", "openapi", "openapi_patch", "price", "touch", *ROW_KEYS}
    if unknown := sorted(change.keys() - known):
        raise CatalogError(f"Unknown part of a model: {', '.join(unknown)}. Known: {', '.join(sorted(known))}.")
    if "metadata" in change:
        row["metadata"] = change["metadata"] and {**(row["metadata"] or {}), **change["metadata"]}
    if row["metadata"] is not None and "status" in change:
        row["metadata"]["status"] = change["status"]
    if row["metadata"] is not None and change.get("touch"):
        row["metadata"]["updated_at"] = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    if "openapi" in change:
        row["openapi"] = change["openapi"]
    if "openapi_patch" in change:
        row["openapi"] = merge_patch(row["openapi"], change["openapi_patch"])
    for key in ROW_KEYS:
        if key in change:
            row[key] = change[key]
    if "price" in change:
        row["price"] = change["price"] and {**(row["price"] or {}), **change["price"]}
    return row


def merge_patch(target: Any, patch: Any) -> Any:
    """JSON merge patch (RFC 7396): objects are merged, null removes a member, anything else replaces."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge_patch(merged.get(key), value)
    return merged


async def _read_object(request: Request) -> dict[str, Any]:
    try:
        body = orjson.loads(await request.body() or b"{}")
    except orjson.JSONDecodeError as error:
        raise PlatformError(400, "The body is not JSON") from error
    if not isinstance(body, dict):
        raise PlatformError(400, "The body must be a JSON object")
    return body


def guarded(handler: Handler) -> Callable[[Request], Awaitable[Response]]:
    """Let only this machine in, and answer what cannot be done with 400 and the reason."""

    async def guarded(request: Request) -> Response:
        if request.client is None or not ipaddress.ip_address(request.client.host).is_loopback:
            raise PlatformError(403, "The control API answers this machine only")
        try:
            return await handler(request, request.app.state.sandbox)
        except (CatalogError, FaultError) as error:
            raise PlatformError(400, str(error)) from error

    return guarded


ROUTES = [
    Route("/_sandbox/state", guarded(show_state)),
    Route("/_sandbox/requests", guarded(requests_log), methods=["GET", "DELETE"]),
    Route("/_sandbox/faults", guarded(faults), methods=["GET", "POST", "DELETE"]),
    Route("/_sandbox/accounts", guarded(accounts), methods=["POST"]),
    Route("/_sandbox/models", guarded(add_model), methods=["POST"]),
    Route("/_sandbox/models/{endpoint_id:path}", guarded(change_model), methods=["GET", "POST", "DELETE"]),
    Route("/_sandbox/catalog", guarded(load_catalog), methods=["POST"]),
    Route("/_sandbox/queue", guarded(queue.show_queue)),
    Route("/_sandbox/queue/{request_id}", guarded(move_request), methods=["POST"]),
    Route("/_sandbox/webhooks", guarded(queue.show_webhooks)),
    Route("/_sandbox/reset", guarded(reset), methods=["POST"]),
]
