"""Requests that bring their model along, as the test jobs of an installation do: its catalog is not this one's.

`POST /given/<provider>/<endpoint id>` with `{"openapi", "input", "effects"}` is a submission of `given/<provider>/…`;
all else goes by the queue's own addresses. Such models stand in no listing.
"""

from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from genfeed.sandbox.catalog import CatalogError
from genfeed.sandbox.effects import Effects, read_effects
from genfeed.sandbox.queue.access import account_name, require_caller
from genfeed.sandbox.queue.errors import DetailError
from genfeed.sandbox.queue.routes import options_of, read_body, submitted_answer
from genfeed.sandbox.queue.running import accept
from genfeed.sandbox.reading import FaultError
from genfeed.sandbox.state import Sandbox

PLACE = "given"
KNOWN = {"openapi", "input", "effects"}


async def submit(request: Request) -> Response:
    """Offers the model where it is new or has changed, and takes the request in."""
    sandbox: Sandbox = request.app.state.sandbox
    require_caller(request)
    body = read_body(await request.body())
    if not isinstance(body, dict) or not body.keys() <= KNOWN or not isinstance(body.get("openapi"), dict):
        raise DetailError(400, "The body has openapi (an object), input and effects")
    endpoint_id = f"{PLACE}/{request.path_params['path']}"
    try:
        effects: Effects = read_effects(body.get("effects") or {})
        _offer(sandbox, endpoint_id, body["openapi"])
    except (CatalogError, FaultError) as error:
        raise DetailError(400, str(error)) from error
    given = body.get("input")
    taken = accept(
        sandbox,
        endpoint_id=endpoint_id,
        given=given,
        body=orjson.dumps(given),
        options=options_of(request),
        account=account_name(request),
        effects=effects,
    )
    return submitted_answer(sandbox, taken)


def _offer(sandbox: Sandbox, endpoint_id: str, openapi: dict[str, Any]) -> None:
    known = sandbox.models.get(endpoint_id)
    if known is None or known.openapi != orjson.dumps(openapi):
        sandbox.replace_model({"endpoint_id": endpoint_id, "openapi": openapi})
        sandbox.app_names = None


ROUTES = [Route("/given/{path:path}", submit, methods=["POST"])]
