"""OpenAI's addresses under /v1: who calls, which call it is, and every error in its form."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponseBase
from django.urls import path, re_path
from django.views.decorators.csrf import csrf_exempt

from genfeed.clients.auth import RequireScope
from genfeed.clients.errors import ApiError
from genfeed.clients.keys import Caller
from jobs.protocols.failures import told
from jobs.protocols.openai import images, listing, videos
from jobs.protocols.openai.errors import error_answer
from pricing.reports.refusals import note_throttled

View = Callable[..., HttpResponseBase]


def _openai(view: View) -> View:
    """A view in OpenAI's manners: its errors are told in its form."""

    @csrf_exempt
    def answered(request: HttpRequest, **rest: str) -> HttpResponseBase:
        try:
            return view(request, **rest)
        except Exception as error:
            told = _told(request, error)
        identity = getattr(request, "identity", None)
        note_throttled(told, identity.key if identity is not None else None)
        return error_answer(told)

    answered.__name__ = view.__name__
    return answered


@_openai
def models(request: HttpRequest) -> HttpResponseBase:
    """GET: the models."""
    _allow(request, "GET")
    return listing.list_models(_caller(request, "models:read"))


@_openai
def model(request: HttpRequest, model_id: str) -> HttpResponseBase:
    """GET: one model; its id contains slashes."""
    _allow(request, "GET")
    return listing.retrieve_model(model_id, _caller(request, "models:read"))


@_openai
def generations(request: HttpRequest) -> HttpResponseBase:
    """POST: images out of a prompt."""
    _allow(request, "POST")
    return images.answer_images(request, _caller(request, "jobs:write"), edits=False)


@_openai
def edits(request: HttpRequest) -> HttpResponseBase:
    """POST: images out of images."""
    _allow(request, "POST")
    return images.answer_images(request, _caller(request, "jobs:write"), edits=True)


@_openai
def all_videos(request: HttpRequest) -> HttpResponseBase:
    """POST: a new video. GET: those that there are."""
    _allow(request, "GET", "POST")
    if request.method == "POST":
        return videos.create(request, _caller(request, "jobs:write"))
    return videos.list_videos(request, _caller(request, "jobs:read"))


@_openai
def one_video(request: HttpRequest, video_id: str) -> HttpResponseBase:
    """GET: the video as it is. DELETE: its end."""
    _allow(request, "GET", "DELETE")
    if request.method == "DELETE":
        return videos.delete(video_id, _caller(request, "jobs:write"))
    return videos.retrieve(video_id, _caller(request, "jobs:read"))


@_openai
def video_content(request: HttpRequest, video_id: str) -> HttpResponseBase:
    """GET: the file of a video."""
    _allow(request, "GET", "HEAD")
    return videos.content(request, video_id, _caller(request, "jobs:read"))


@_openai
def nothing(request: HttpRequest) -> HttpResponseBase:
    """Every other address below /v1."""
    raise ApiError("not_found", f"There is nothing at {request.path[:200]}.", "Images and videos are made here.")


def _caller(request: HttpRequest, scope: str) -> Caller:
    """The client that calls, by its key. Raises ApiError."""
    caller: Caller = RequireScope(scope)(request).require_client()
    return caller


def _allow(request: HttpRequest, *methods: str) -> None:
    if request.method not in methods:
        hint = f"Send {' or '.join(methods)}."
        raise ApiError("invalid_request", "This method is not allowed here.", hint, status=405)


def _told(request: HttpRequest, error: Exception) -> ApiError:
    return told(request, error, too_large="Send files in a form.", unreadable="Send JSON, or a form.")


urlpatterns = [
    path("models", models),
    path("models/<path:model_id>", model),
    path("images/generations", generations),
    path("images/edits", edits),
    path("videos", all_videos),
    path("videos/<str:video_id>", one_video),
    path("videos/<str:video_id>/content", video_content),
    re_path("", nothing),
]
