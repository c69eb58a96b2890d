"""/mcp: who calls, and the answer that the event loop holds."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt

from genfeed.clients.auth import RequireScope
from genfeed.clients.errors import ApiError, error_response
from genfeed.clients.keys import Caller
from genfeed.front.connections import HANDED_OVER
from genfeed.journal import request_ids
from jobs.events.slots import Slot
from jobs.protocols.waiting import require_event_loop

_any_key = RequireScope("")


@csrf_exempt
def serve(request: HttpRequest) -> HttpResponse:
    """POST of one message; every tool asks for the scope that the same call over HTTP needs."""
    try:
        return _serve(request)
    except ApiError as error:
        answer = error_response(error)
        if error.status == 401:
            answer.headers["WWW-Authenticate"] = "Bearer"
        if error.status == 405:
            answer.headers["Allow"] = "POST"
        return answer


def _serve(request: HttpRequest) -> HttpResponse:
    _refuse_pages(request)
    caller: Caller = _any_key(request).require_client()
    if request.method != "POST":
        raise ApiError("invalid_request", "No stream is kept open here.", "POST each message.", status=405)
    require_event_loop(request, "Use the API itself (/api/v1).")
    # Only where agents are served: the package takes 50 MB and most of a second.
    from jobs.protocols.agents.serving import AgentAnswer

    body = request.body
    outer: dict[str, Any] = request.environ  # type: ignore[attr-defined]
    carried = {name: value for name, value in outer.items() if name != "wsgi.input"}
    carried["genfeed.request_id"] = request_ids.current()
    outer[HANDED_OVER] = AgentAnswer(Slot(caller.client_id), environ=carried, body=body, caller=caller)
    answer = HttpResponse(b"", content_type="application/json")
    answer.headers["Cache-Control"] = "no-store"
    answer.headers["X-Accel-Buffering"] = "no"
    return answer


def _refuse_pages(request: HttpRequest) -> None:
    """Refuses what a page of another site sends: agents are no pages, and one may have been led here by its DNS."""
    origin = request.headers.get("Origin")
    own = f"{request.scheme}://{request.get_host()}"
    if origin is not None and origin not in (own, *settings.CSRF_TRUSTED_ORIGINS):
        raise ApiError(
            "forbidden_scope", "Pages of other sites may not call agents' tools.", "Call them from a server."
        )
