"""Direct calls under /run: the answer is the output itself; `/stream` sends it as the last of some events."""

import asyncio
from collections.abc import AsyncIterator

import orjson
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from genfeed.sandbox.queue.access import account_name, require_app, require_balance, require_caller
from genfeed.sandbox.queue.errors import DetailError
from genfeed.sandbox.queue.names import app_of
from genfeed.sandbox.queue.request import QueuedRequest
from genfeed.sandbox.queue.routes import headers_of, options_of, read_body, result_answer
from genfeed.sandbox.queue.running import accept, cancel
from genfeed.sandbox.state import Sandbox

PARTIAL_EVENTS = 2


async def run(request: Request) -> Response:
    """POST /run/<id> and /run/<id>/stream. Direct calls do not wait: without room they are refused."""
    sandbox: Sandbox = request.app.state.sandbox
    endpoint_id = request.path_params["path"].strip("/")
    require_caller(request, app_of(endpoint_id))
    is_stream = endpoint_id.endswith("/stream") and endpoint_id not in sandbox.models
    endpoint_id = endpoint_id.removesuffix("/stream") if is_stream else endpoint_id
    body = await request.body()
    require_app(sandbox, endpoint_id)
    require_balance(request)
    # Those in the line take places too: what came in this same turn of the event loop starts after it.
    if len(sandbox.line.running) + sandbox.line.length() >= sandbox.faults.concurrency:
        detail = "Concurrent requests limit reached"
        headers = {"x-fal-error-type": "concurrent_requests_limit", "x-fal-needs-retry": "1", "retry-after": "1"}
        raise DetailError(429, detail, headers)
    options = options_of(request)
    taken = accept(
        sandbox,
        endpoint_id=endpoint_id,
        given=read_body(body),
        body=body,
        options=options,
        is_direct=True,
        account=account_name(request),
    )
    if is_stream:
        return StreamingResponse(_events(taken), media_type="text/event-stream")
    try:
        await taken.ended.wait()
    except asyncio.CancelledError:
        cancel(sandbox, taken)
        raise
    return result_answer(taken)


async def _events(request: QueuedRequest) -> AsyncIterator[bytes]:
    for number in range(PARTIAL_EVENTS):
        yield b"data: " + orjson.dumps({"progress": number / PARTIAL_EVENTS}) + b"\n\n"
    await request.ended.wait()
    outcome = request.outcome
    if outcome is None:
        return
    event = outcome.payload if outcome.is_good else {"error": outcome.payload, **headers_of(request, outcome)}
    yield b"data: " + orjson.dumps(event) + b"\n\n"


ROUTES = [Route("/run/{path:path}", run, methods=["POST"])]
