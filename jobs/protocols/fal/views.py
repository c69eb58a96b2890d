"""fal's addresses under /fal: who calls, which call it is, and every error in fal's form."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt

from genfeed.clients.auth import RequireScope
from genfeed.clients.browser_tokens import by_browser_token
from genfeed.clients.errors import ApiError
from genfeed.clients.keys import Caller
from jobs.protocols.failures import told
from jobs.protocols.fal import pages, proxy, queue, storage, webhooks
from jobs.protocols.fal.asking import ASKED_FOR
from jobs.protocols.fal.errors import error_answer, no_realtime
from pricing.reports.refusals import note_throttled

View = Callable[..., HttpResponse]


def _fal(view: View) -> View:
    """A view in fal's manners: preflights are answered, errors are told in its form, pages may read the answer."""

    @csrf_exempt
    def answered(request: HttpRequest, **rest: str) -> HttpResponse:
        if request.method == "OPTIONS":
            return pages.preflight()
        try:
            answer = view(request, **rest)
        except Exception as error:
            told = _told(request, error)
            note_throttled(told, _caller_of(request), is_ours=told.details != ASKED_FOR)
            answer = error_answer(told)
        return pages.allow(answer, _caller_of(request))

    answered.__name__ = view.__name__
    return answered


def caller_with(request: HttpRequest, scope: str) -> Caller:
    """The client that calls, by a key or a page's token. Raises ApiError."""
    identity = RequireScope(scope, instead=by_browser_token)(request)
    caller: Caller = identity.require_client()
    if not caller.may(scope):
        raise ApiError("forbidden_scope", f"The key of this token lacks the scope {scope}.", "Use another key.")
    return caller


@_fal
def serve_queue(request: HttpRequest, rest: str) -> HttpResponse:
    """POST: a submit. GET and PUT: what became of one."""
    return _queue(request, rest)


@_fal
def serve_run(request: HttpRequest, rest: str) -> HttpResponse:
    """POST: the result in the answer, of `…/stream` as a stream."""
    return _run(request, rest)


@_fal
def serve_proxy(request: HttpRequest) -> HttpResponse:
    """What fal's browser client would ask of fal, named by the header x-fal-target-url, asked of us."""
    target = proxy.read_target(request)
    proxy.stand_for(request, target)
    if target.kind == "queue":
        return _queue(request, target.path)
    return _run(request, target.path) if target.kind == "run" else _initiate(request)


@_fal
def initiate_upload(request: HttpRequest) -> HttpResponse:
    """POST: where a file may be put, and where it will be."""
    return _initiate(request)


@_fal
def put_file(request: HttpRequest) -> HttpResponse:
    """PUT: the file itself; the address says whose it is."""
    return storage.receive(request)


@_fal
def jwks(_request: HttpRequest) -> HttpResponse:
    """The public key that verifies our webhooks in fal's form."""
    return webhooks.jwks()


def _queue(request: HttpRequest, rest: str) -> HttpResponse:
    if request.method == "POST":
        return queue.submit(request, rest.strip("/"), caller_with(request, "jobs:write"))
    scope = "jobs:write" if request.method == "PUT" else "jobs:read"
    return queue.look(request, rest, caller_with(request, scope))


def _run(request: HttpRequest, rest: str) -> HttpResponse:
    caller = caller_with(request, "jobs:write")
    if rest.strip("/").endswith("/realtime") and not queue.is_model(rest.strip("/"), caller):
        raise no_realtime()
    if request.method != "POST":
        raise ApiError("invalid_request", "This method is not allowed here.", "POST the input.", status=405)
    endpoint_id = rest.strip("/")
    is_stream = endpoint_id.endswith("/stream") and not queue.is_model(endpoint_id, caller)
    return queue.run(request, endpoint_id.removesuffix("/stream") if is_stream else endpoint_id, caller,
                     is_stream=is_stream)  # fmt: skip


def _initiate(request: HttpRequest) -> HttpResponse:
    return storage.initiate(request, caller_with(request, "jobs:write"), queue.base_url_of(request))


def _caller_of(request: HttpRequest) -> Caller | None:
    identity = getattr(request, "identity", None)
    return identity.key if identity else None


def _told(request: HttpRequest, error: Exception) -> ApiError:
    return told(
        request, error, too_large="Upload files first, and name them by address.", unreadable="Send the body as JSON."
    )


urlpatterns = [
    path("queue/<path:rest>", serve_queue),
    path("run/<path:rest>", serve_run),
    path("proxy", serve_proxy),
    path("storage/upload/initiate", initiate_upload),
    path("storage/files", put_file),
    path(".well-known/jwks.json", jwks),
]
