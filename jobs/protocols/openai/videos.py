"""Videos: made in the background, asked after, listed, fetched and deleted. Each is a job like any other."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse

from genfeed.clients.errors import ApiError
from genfeed.clients.keys import Caller
from jobs.assets.models import Asset
from jobs.assets.rendering import assets_of, is_withheld
from jobs.assets.retention import remove_file
from jobs.assets.serving import answer_with
from jobs.models import Job, Status
from jobs.protocols.openai.accepting import accept_once, find_job
from jobs.protocols.openai.errors import refused
from jobs.protocols.openai.files import brought, put_images
from jobs.protocols.openai.images import failure_of
from jobs.protocols.openai.mapping import Fitted, prompt_field, seconds_field
from jobs.protocols.openai.reading import read_asked
from jobs.protocols.waiting import cancel_quietly
from pricing.counting.durations import read_seconds
from pricing.counting.image_sizes import output_size
from pricing.counting.requests import make_request
from pricing.estimates.facts import Facts, facts_of

_WAITING = (Status.QUEUED, Status.SUBMITTING, Status.SUBMITTED)
_MOST = 100
# Parameters that are no fields of a model.
_READ = ("input_reference",)
_DELETED = "you deleted it"


def create(request: HttpRequest, caller: Caller) -> HttpResponse:
    """Accepts a request for a video. Raises ApiError."""
    asked = read_asked(request)
    if unknown := next((name for name in asked.files if name not in _READ), None):
        raise refused(unknown, "it can't be a file here.", "Send a picture to begin with as input_reference.")

    def bring(fitted: Fitted) -> None:
        if images := brought(asked, "input_reference"):
            put_images(fitted, "input_reference", images, caller.client_id)

    job, _ = accept_once(request, caller, asked, makes="video", reads=_READ, bring=bring)
    return JsonResponse(render_video(job, _videos_of([job]).get(job.pk, [])))


def list_videos(request: HttpRequest, caller: Caller) -> HttpResponse:
    """The caller's videos, a page at a time. Raises ApiError."""
    limit, after, order = request.GET.get("limit", "20"), request.GET.get("after", ""), request.GET.get("order", "desc")
    if not (limit.isascii() and limit.isdigit() and 0 < int(limit[:9]) <= _MOST):
        raise refused("limit", f"{limit[:40]!r} is no number from 1 to {_MOST}.", "Correct it.")
    if order not in ("asc", "desc"):
        raise refused("order", f"{order[:40]!r} is unknown.", "Send asc or desc.")
    jobs = Job.objects.filter(client_id=caller.client_id, model__media_type="video")
    if after:
        beyond = after[:40].replace("\x00", "")
        jobs = jobs.filter(id__gt=beyond) if order == "asc" else jobs.filter(id__lt=beyond)
    found = list(jobs.order_by("id" if order == "asc" else "-id")[: int(limit) + 1])
    shown = found[: int(limit)]
    files = _videos_of(shown)
    data = [render_video(job, files.get(job.pk, [])) for job in shown]
    ends = {"first_id": data[0]["id"], "last_id": data[-1]["id"]} if data else {"first_id": None, "last_id": None}
    return JsonResponse({"object": "list", "data": data, "has_more": len(found) > len(shown), **ends})


def retrieve(video_id: str, caller: Caller) -> HttpResponse:
    """One video as it is now. Raises ApiError."""
    job = find_job(video_id, caller, makes="video")
    return JsonResponse(render_video(job, _videos_of([job]).get(job.pk, [])))


def content(request: HttpRequest, video_id: str, caller: Caller) -> HttpResponseBase:
    """The file of a video. Raises ApiError."""
    variant = request.GET.get("variant", "video")
    if variant != "video":
        raise refused("variant", f"there is no {variant[:40]} of a video here.", "Leave it out for the video.")
    job = find_job(video_id, caller, makes="video")
    video = next(iter(_videos_of([job]).get(job.pk, [])), None)
    if video is None or video.state == Asset.State.PENDING:
        code = "conflict" if video or not job.has_ended else "not_found"
        raise ApiError(code, "There is no file of this video, or not yet.", "Ask for the video: its status tells.")
    if is_withheld(video):
        raise ApiError("content_refused", "The video is withheld: it was flagged.", "Ask for another one.")
    if video.state != Asset.State.STORED:
        raise ApiError("not_found", f"The file is not here: {video.problem or video.state}.", "Make the video again.")
    return answer_with(request, video)


def delete(video_id: str, caller: Caller) -> HttpResponse:
    """Deletes the files of a video; one that is not made yet is canceled. Raises ApiError."""
    job = find_job(video_id, caller, makes="video")
    cancel_quietly(job.pk)
    for asset in Asset.objects.filter(job=job.pk).exclude(state=Asset.State.EXPIRED, storage_name=""):
        if not remove_file(asset, problem=_DELETED):
            raise ApiError("internal_error", "The file could not be deleted yet.", "Try again.")
    return JsonResponse({"id": job.pk, "object": "video.deleted", "deleted": True})


def render_video(job: Job, files: list[Asset]) -> dict[str, Any]:
    """The job as a video object; `files`: its videos. It is completed once its file is here."""
    status = _status(job, files)
    facts = facts_of(job.model_id)
    video = files[0] if files else None
    error = None
    if status == "failed":
        failure = failure_of(job)
        error = {"code": failure.code, "message": failure.message}
    return {
        "id": job.pk,
        "object": "video",
        "created_at": int(job.created_at.timestamp()),
        "status": status,
        "model": job.endpoint_id,
        # Nothing in between is known of models in general.
        "progress": 100 if status == "completed" else 0,
        "prompt": job.input.get(prompt_field({one["name"]: one for one in facts.inputs}) or ""),
        "seconds": _seconds(job, facts, video),
        "size": _size(job, facts, video),
        "completed_at": int(job.finished_at.timestamp()) if job.finished_at and status == "completed" else None,
        "expires_at": _expires_at(video),
        "error": error,
        "remixed_from_video_id": None,
    }


def _status(job: Job, files: Iterable[Asset]) -> str:
    if job.status in _WAITING:
        return "queued"
    if job.status == Status.SUCCEEDED:
        return "in_progress" if any(one.state == Asset.State.PENDING for one in files) else "completed"
    return "failed" if job.has_ended else "in_progress"


def _videos_of(jobs: list[Job]) -> dict[str, list[Asset]]:
    return {key: [one for one in files if one.kind == "video"] for key, files in assets_of(jobs).items()}


def _seconds(job: Job, facts: Facts, video: Asset | None) -> str:
    if video is not None and video.seconds:
        return re.sub(r"\.0+$", "", f"{video.seconds:.2f}")
    fields = {one["name"]: one for one in facts.inputs}
    name = seconds_field(fields)
    value = job.input.get(name, fields[name].get("default")) if name else None
    seconds = read_seconds(name, value) if name else None
    return f"{seconds.normalize():f}" if seconds else ""


def _size(job: Job, facts: Facts, video: Asset | None) -> str:
    if video is not None and video.width and video.height:
        return f"{video.width}x{video.height}"
    size = output_size(make_request(facts.inputs, job.input))
    return f"{size.width}x{size.height}" if size.width and size.height else ""


def _expires_at(video: Asset | None) -> int | None:
    if video is None or not settings.OUTPUT_DAYS or video.state != Asset.State.STORED:
        return None
    return int((video.created_at + timedelta(days=settings.OUTPUT_DAYS)).timestamp())
