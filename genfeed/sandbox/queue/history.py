"""The account's requests on the Platform API: the list by endpoint, the search, the deletion of payloads."""

import time
from typing import Any
from uuid import UUID

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from genfeed.sandbox.answers import PlatformError, encoded_answer, json_answer
from genfeed.sandbox.keys import require_admin, require_key
from genfeed.sandbox.money.periods import expansions, page_of, period_of, values_of
from genfeed.sandbox.queue.access import account_name
from genfeed.sandbox.queue.request import QueuedRequest
from genfeed.sandbox.queue.states import iso
from genfeed.sandbox.state import Sandbox

PAGE, LARGEST_PAGE = 50, 100
REMEMBERED_SECONDS = 600.0
STATUSES = {"success": range(200, 400), "user_error": range(400, 500), "error": range(500, 600)}
ORDERS = ("ended_at", "duration")


async def by_endpoint(request: Request) -> Response:
    """GET /v1/models/requests/by-endpoint: what was sent to some endpoints, with expand=payloads also in and out."""
    sandbox: Sandbox = request.app.state.sandbox
    require_key(request, sandbox.keys)
    endpoints = values_of(request, "endpoint_id")
    if not endpoints:
        raise PlatformError(400, "Invalid request parameters: endpoint_id is required")
    with_payloads = "payloads" in expansions(request, frozenset({"payloads"}))
    order = request.query_params.get("sort_by", "ended_at")
    if order not in ORDERS:
        raise PlatformError(400, "Invalid request parameters: sort_by must be ended_at or duration")
    request_id = _uuid(request.query_params.get("request_id"))
    found = [one for one in _of_period(sandbox, request, request_id) if one.endpoint_id in endpoints]
    if request_id is not None:
        found = [one for one in found if one.request_id == request_id]
    if status := request.query_params.get("status"):
        if status not in STATUSES:
            raise PlatformError(400, "Invalid request parameters: status must be success, error or user_error")
        found = [one for one in found if one.outcome and one.outcome.status in STATUSES[status]]
    now = time.time()
    found.sort(key=lambda one: (one.seconds or 0) if order == "duration" else (one.ended_at or now), reverse=True)
    page, cursor = page_of(request, found, usual=PAGE, most=LARGEST_PAGE)
    items = [_item(one, with_payloads=with_payloads) for one in page]
    return json_answer({"items": items, "next_cursor": cursor, "has_more": cursor is not None})


async def delete_payloads(request: Request) -> Response:
    """DELETE /v1/models/requests/<id>/payloads: input, output and the output's files go; the request stays."""
    sandbox: Sandbox = request.app.state.sandbox
    require_admin(request, sandbox.keys)
    request_id = _uuid(request.path_params["request_id"])
    key = request.headers.get("idempotency-key")
    if key is not None and (answered := sandbox.answered.get(key)) and answered[0] > time.time():
        return encoded_answer(answered[1])
    found = sandbox.line.requests.get(request_id or "")
    if found is None:
        raise PlatformError(404, "Resource not found: no such request")
    results = [
        {"link": sandbox.base_url + path, "exception": None if sandbox.files.remove(path) else "File not found"}
        for path in found.file_paths
    ]
    found.file_paths = []
    found.given = None
    found.payloads_gone = True
    body = orjson.dumps({"cdn_delete_results": results})
    if key is not None:
        sandbox.answered[key] = (time.time() + REMEMBERED_SECONDS, body)
    return encoded_answer(body)


def _of_period(sandbox: Sandbox, request: Request, request_id: str | None) -> list[QueuedRequest]:
    start, end = period_of(request, days=1 if request_id is None else 90)
    now = time.time()
    account = account_name(request)
    return [
        one
        for one in sandbox.line.requests.values()
        if one.account == account
        and start <= one.sent_at < end
        and one.sent_at + one.effects.get("listed_after", 0) <= now
    ]


def _uuid(text: str | None) -> str | None:
    if text is None:
        return None
    try:
        return str(UUID(text))
    except ValueError as error:
        raise PlatformError(400, "Invalid request parameters: request_id must be a UUID") from error


def _item(request: QueuedRequest, *, with_payloads: bool) -> dict[str, Any]:
    item: dict[str, Any] = {
        "request_id": request.request_id,
        "endpoint_id": request.endpoint_id,
        "sent_at": iso(request.sent_at),
        "started_at": iso(request.started_at or request.sent_at),
        "ended_at": None if request.ended_at is None else iso(request.ended_at),
        "status_code": None if request.outcome is None else request.outcome.status,
        "duration": request.seconds,
    }
    if with_payloads and request.options.stores_payloads and not request.payloads_gone:
        item["json_input"] = request.given
        item["json_output"] = None if request.outcome is None else request.outcome.payload
    return item


ROUTES = [
    Route("/v1/models/requests/by-endpoint", by_endpoint),
    Route("/v1/models/requests/{request_id}/payloads", delete_payloads, methods=["DELETE"]),
]
