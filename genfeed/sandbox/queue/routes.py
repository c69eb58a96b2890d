"""fal's queue under /queue: submit, status, result, cancel."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from genfeed.sandbox.answers import encoded_answer, json_answer
from genfeed.sandbox.files.lifetimes import lifetime_of
from genfeed.sandbox.queue import names
from genfeed.sandbox.queue.access import account_name, require_app, require_balance, require_caller
from genfeed.sandbox.queue.errors import DetailError
from genfeed.sandbox.queue.request import COMPLETED, Options, Outcome, QueuedRequest
from genfeed.sandbox.queue.running import accept, cancel
from genfeed.sandbox.queue.states import state_of, urls_of
from genfeed.sandbox.state import Sandbox

TICK_SECONDS = 0.1
NOT_FOUND = {"status": "NOT_FOUND"}
STEMS = {"POST": ("",), "PUT": ("cancel",), "GET": ("", "response", "status", "status/stream")}


async def queue(request: Request) -> Response:
    """All calls of the queue; which one it is follows from the end of the path."""
    sandbox: Sandbox = request.app.state.sandbox
    address = names.parse(request.path_params["path"])
    if address is None:
        raise DetailError(404, "Not Found")
    require_caller(request, names.app_of(address.endpoint_id))
    if address.request_id is None:
        if request.method != "POST":
            raise DetailError(405, "Method Not Allowed")
        return await _submit(sandbox, request, address.endpoint_id)
    if address.action not in STEMS[request.method] or request.method == "POST":
        raise DetailError(405, "Method Not Allowed")
    found = sandbox.line.requests.get(address.request_id)
    if found is None or found.app != names.app_of(address.endpoint_id) or found.account != account_name(request):
        return json_answer(NOT_FOUND, 404)
    if address.action == "cancel":
        return _cancel(sandbox, found)
    with_logs = request.query_params.get("logs") in ("1", "true")
    if address.action == "status":
        return json_answer(state_of(sandbox, found, with_logs=with_logs), 200 if found.status == COMPLETED else 202)
    if address.action == "status/stream":
        return StreamingResponse(_stream(sandbox, found, with_logs=with_logs), media_type="text/event-stream")
    return result_answer(found)


async def _submit(sandbox: Sandbox, request: Request, endpoint_id: str) -> Response:
    body = await request.body()
    require_app(sandbox, endpoint_id)
    require_balance(request)
    most = request.query_params.get("fal_max_queue_length")
    if most is not None and most.isdigit() and sandbox.line.length(endpoint_id) > int(most):
        raise DetailError(429, f"Queue of {endpoint_id} is longer than {most}", {"retry-after": "1"})
    given = read_body(body)
    options = options_of(request)
    taken = accept(
        sandbox, endpoint_id=endpoint_id, given=given, body=body, options=options, account=account_name(request)
    )
    return submitted_answer(sandbox, taken)


def submitted_answer(sandbox: Sandbox, taken: QueuedRequest) -> Response:
    """The answer to a submission that was taken in."""
    answer: dict[str, Any] = {
        "status": taken.status,
        "request_id": taken.request_id,
        "gateway_request_id": taken.gateway_id,
        **urls_of(sandbox, taken),
        "queue_position": sandbox.line.position(taken),
    }
    return Response(orjson.dumps(answer), headers={"x-fal-request-id": taken.request_id}, media_type="application/json")


def read_body(body: bytes) -> Any:
    """The input. Only what is no JSON at all is refused before the runner sees it."""
    try:
        return orjson.loads(body or b"{}")
    except orjson.JSONDecodeError as error:
        raise DetailError(422, [{"loc": ["body"], "msg": "JSON decode error", "type": "json_invalid"}]) from error


def options_of(request: Request) -> Options:
    """What the headers and the query ask for. Raises DetailError for a timeout that is none."""
    headers = request.headers
    timeout = headers.get("x-fal-request-timeout")
    try:
        start_timeout = None if timeout is None else float(timeout)
    except ValueError:
        start_timeout = 0.0
    if start_timeout is not None and not 0.1 < start_timeout < 1e9:
        raise DetailError(400, "X-Fal-Request-Timeout must be a number of seconds above 0.1")
    return Options(
        webhook=request.query_params.get("fal_webhook"),
        is_low_priority=headers.get("x-fal-queue-priority") == "low",
        start_timeout=start_timeout,
        lifetime=lifetime_of(headers),
        stores_payloads=headers.get("x-fal-store-io") != "0",
        retries=headers.get("x-fal-no-retry", "").lower() not in ("1", "true", "yes"),
    )


def result_answer(request: QueuedRequest) -> Response:
    """The answer to a fetch of the result, with the billed units in its headers."""
    if request.outcome is None:
        raise DetailError(400, "Request is still in progress", {"x-fal-request-id": request.request_id})
    if request.payloads_gone:
        return json_answer(NOT_FOUND, 404)
    answer = encoded_answer(request.outcome.body, request.outcome.status)
    answer.headers.update(headers_of(request, request.outcome))
    return answer


def headers_of(request: QueuedRequest, outcome: Outcome) -> dict[str, str]:
    """The headers of a result."""
    return {"x-fal-request-id": request.request_id, "x-fal-served-from": "sandbox", **outcome.headers}


def _cancel(sandbox: Sandbox, request: QueuedRequest) -> Response:
    if cancel(sandbox, request):
        return json_answer({"status": "CANCELLATION_REQUESTED"}, 202)
    return json_answer({"status": "ALREADY_COMPLETED"}, 400)


async def _stream(sandbox: Sandbox, request: QueuedRequest, *, with_logs: bool) -> AsyncIterator[bytes]:
    """The state whenever it has changed, until the request has ended."""
    last = b""
    while True:
        is_over = request.status == COMPLETED
        event = b"data: " + orjson.dumps(state_of(sandbox, request, with_logs=with_logs)) + b"\n\n"
        if event != last:
            yield event
        if is_over or (request.ended.is_set() and sandbox.line.requests.get(request.request_id) is not request):
            return
        last = event
        try:
            async with asyncio.timeout(TICK_SECONDS):
                await request.ended.wait()
        except TimeoutError:
            continue


ROUTES = [Route("/queue/{path:path}", queue, methods=["GET", "POST", "PUT"])]
