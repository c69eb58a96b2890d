"""Answers that are streams: handed to the front that holds them, or short ones where there is none."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse

from genfeed.clients.errors import ApiError
from genfeed.front.connections import HANDED_OVER
from jobs.events.metrics import observe_opened
from jobs.events.rendering import CONTENT_TYPE
from jobs.events.streaming import EventStream


def wants_stream(request: HttpRequest, *, stream: bool) -> bool:
    """Whether the caller asks for server-sent events: by its Accept header, or by the parameter `stream`."""
    return stream or CONTENT_TYPE in request.headers.get("Accept", "")


def last_event_id(request: HttpRequest) -> str:
    """What the caller has seen last: the header of a client that comes back wins over the address it came to first."""
    return (request.headers.get("Last-Event-ID") or request.GET.get("after") or "").strip()


def open_stream(request: HttpRequest, stream: EventStream, *, of: str) -> HttpResponse:
    """The answer that begins a stream `of` a job or a client. Under pure WSGI it is what there is so far."""
    observe_opened(of)
    environ = getattr(request, "environ", {})
    if HANDED_OVER in environ:
        environ[HANDED_OVER] = stream
        body = b""
    else:
        stream.close()
        body = stream.so_far()
    response = HttpResponse(body, content_type=CONTENT_TYPE)
    response.headers["Cache-Control"] = "no-store"
    # nginx keeps back what it thinks is not finished.
    response.headers["X-Accel-Buffering"] = "no"
    return response


def nothing_more() -> HttpResponse:
    """204: a browser's EventSource comes back for ever, unless it is told so that there is nothing more."""
    return HttpResponse(status=204)


def number_in(text: str) -> int:
    """The number of a job's event; raises ApiError."""
    if not text:
        return 0
    if not (text.isascii() and text.isdigit() and len(text) <= 9):
        raise ApiError(
            "invalid_request",
            f"{text[:40]!r} is no number of an event of a job.",
            "Send the `number` of the last event that you know, or nothing to get them all.",
        )
    return int(text)
