"""Images made and edited: the request becomes a job, and the answer waits for it in the event loop."""

from __future__ import annotations

import asyncio
import base64
import time
from dataclasses import dataclass
from typing import Any

import orjson
from django.conf import settings
from django.http import HttpRequest, HttpResponse

from genfeed.clients.errors import CODES, ApiError
from genfeed.clients.keys import Caller
from genfeed.front.connections import HANDED_OVER, Connection
from jobs.assets.models import Asset
from jobs.assets.rendering import assets_of, is_withheld, output_with_urls, url_of
from jobs.assets.scanning import is_on
from jobs.assets.storage import open_file
from jobs.events.hub import hub
from jobs.events.slots import Slot
from jobs.models import Job, Status
from jobs.protocols.openai.accepting import accept_once, base_url_of
from jobs.protocols.openai.errors import refused, told
from jobs.protocols.openai.files import brought, put_images, put_mask
from jobs.protocols.openai.mapping import Fitted
from jobs.protocols.openai.reading import Asked, read_asked
from jobs.protocols.waiting import Waiting, cancel_quietly, require_event_loop

# Files are brought here after their job has ended, which is told by no event of the job.
_BETWEEN_LOOKS = 0.2
# Of all files of an answer, as they are stored; beyond that only addresses are given.
_MOST_INLINE = 67_108_864
# Parameters that are no fields of a model.
_READ = ("response_format", "stream")
_FORMATS = {"image/png": "png", "image/jpeg": "jpeg", "image/webp": "webp", "image/gif": "gif", "image/svg+xml": "svg"}


@dataclass(frozen=True, slots=True)
class Shown:
    """How images are given: by addresses, in the answer itself, or, where nothing was said, both ways."""

    by_url: bool
    inline: bool


def answer_images(request: HttpRequest, caller: Caller, *, edits: bool) -> HttpResponse:
    """Accepts a request for images, and hands over the answer that waits for them. Raises ApiError."""
    require_event_loop(request, "Run the model as a job (/api/v1/jobs), and ask for its output.")
    asked = read_asked(request)
    files = ("image", "mask") if edits else ()
    if unknown := next((name for name in asked.files if name not in files), None):
        raise refused(unknown, "it can't be a file here.", "Send images and masks to /v1/images/edits.")
    shown = _read_shown(asked)
    if asked.values.get("stream") not in (None, False, "false"):
        raise refused("stream", "images come whole, when they are made.", "Leave it out.")

    def bring(fitted: Fitted) -> None:
        if edits:
            _bring_files(fitted, asked, caller)

    slot = Slot(caller.client_id)
    try:
        job, _ = accept_once(request, caller, asked, makes="image", reads=(*_READ, *files), bring=bring)
        # With a key the same request may come again, and wants this very result.
        cancels = "Idempotency-Key" not in request.headers
        environ: dict[str, Any] = request.environ  # type: ignore[attr-defined]
        environ[HANDED_OVER] = ImagesAnswer(slot, job, base_url=base_url_of(request), shown=shown, cancels=cancels)
    except BaseException:
        slot.give_back()
        raise
    answer = HttpResponse(b"", content_type="application/json")
    answer.headers["Cache-Control"] = "no-store"
    answer.headers["X-GenFeed-Job"] = job.pk
    return answer


class ImagesAnswer(Waiting):
    """The images of a job, or what went wrong. A client that leaves has its job canceled, where it can't come back."""

    answers_late = True

    def __init__(self, slot: Slot, job: Job, *, base_url: str, shown: Shown, cancels: bool) -> None:
        super().__init__(slot, job, base_url=base_url)
        self._shown, self._cancels = shown, cancels
        self._until = time.monotonic() + settings.SYNC_WAIT_SECONDS

    async def _answer(self, connection: Connection) -> None:
        async for job in self._looks(self._until):
            if job is not None and job.has_ended:
                await self._give(connection, job)
                return
            if time.monotonic() >= self._until:
                connection.decide(*told(_goes_on(self._id, "it takes longer than a request waits"), job_id=self._id))
                return
        if self._watcher.end_reason != "gone":
            connection.decide(*told(_goes_on(self._id, "the server is restarted"), job_id=self._id))
        elif self._cancels:
            await hub.read(cancel_quietly, self._id)

    async def _give(self, connection: Connection, job: Job) -> None:
        assets = await hub.read(_images_of, job)
        while any(asset.state == Asset.State.PENDING for asset in assets):
            if time.monotonic() >= self._until or self._watcher.end_reason:
                break
            await self._watcher.take(_BETWEEN_LOOKS)
            assets = await hub.read(_images_of, job)
        try:
            body = await asyncio.to_thread(images_body, job, assets, self._shown, self._base_url)
        except ApiError as error:
            connection.decide(*told(error, job_id=self._id))
            return
        connection.decide(200, {"Content-Type": "application/json", "X-GenFeed-Job": self._id}, orjson.dumps(body))


def images_body(job: Job, assets: list[Asset], shown: Shown, base_url: str | None) -> dict[str, Any]:
    """The images of a job that has ended. Reads files, but no rows. Raises ApiError where there are none to give."""
    if job.status != Status.SUCCEEDED:
        raise failure_of(job)
    given = [asset for asset in assets if asset.state == Asset.State.STORED and not is_withheld(asset)]
    # Elsewhere still, as the output shows them; where a scanner must see a file first, it is not shown.
    abroad = [] if is_on() else [one for one in assets if one.state in (Asset.State.PENDING, Asset.State.FAILED)]
    fits = sum(asset.size or 0 for asset in given) <= _MOST_INLINE
    if shown.inline and not shown.by_url and (abroad or not fits):
        why = "some files could not be fetched yet" if abroad else f"the files have more than {_MOST_INLINE} bytes"
        raise ApiError("provider_error", f"The images are made, but {why}.", f"Get them from /api/v1/jobs/{job.pk}.")
    data = [_image(asset, shown, fits=fits, base_url=base_url) for asset in given]
    output = output_with_urls(job.output, assets, base_url=base_url)
    data += [{"url": url} for asset in abroad if (url := _at(output, asset.places[0]))]
    if not data:
        if any(is_withheld(asset) or asset.state == Asset.State.REFUSED for asset in assets):
            raise ApiError("content_refused", "The images are withheld: they were flagged.", "Ask for others.")
        if any(asset.state == Asset.State.EXPIRED for asset in assets):
            raise ApiError("not_found", "The images are deleted: their time has passed.", "Make them again.")
        raise ApiError("provider_error", "The job gave no image.", f"See its output: /api/v1/jobs/{job.pk}.")
    body: dict[str, Any] = {"created": int((job.finished_at or job.created_at).timestamp()), "data": data}
    if given:
        body["output_format"] = _FORMATS.get(given[0].content_type)
        body["size"] = f"{given[0].width}x{given[0].height}" if given[0].width and given[0].height else None
    return body


def failure_of(job: Job) -> ApiError:
    """What a job that did not succeed is answered with."""
    if job.status == Status.CANCELED:
        return ApiError("conflict", "The job was canceled.", "Send the request again.")
    error = job.error or {}
    code = error.get("code", "")
    known = code if code in CODES else "provider_error"
    return ApiError(known, error.get("message") or "The job failed.", error.get("hint") or "")


def _read_shown(asked: Asked) -> Shown:
    wanted = asked.text("response_format")
    if wanted not in ("", "url", "b64_json"):
        hint = "Send url or b64_json, or leave it out for both."
        raise refused("response_format", f"{wanted[:40]!r} is unknown.", hint)
    return Shown(by_url=wanted != "b64_json", inline=wanted != "url")


def _bring_files(fitted: Fitted, asked: Asked, caller: Caller) -> None:
    images, masks = (brought(asked, name) for name in ("image", "mask"))
    if not images:
        raise refused("image", "there is none.", "Send a file in a form.")
    if len(masks) > 1:
        raise refused("mask", "there are several.", "Send one.")
    put_images(fitted, "image", images, caller.client_id)
    for mask in masks:
        put_mask(fitted, "mask", mask, caller.client_id)


def _image(asset: Asset, shown: Shown, *, fits: bool, base_url: str | None) -> dict[str, Any]:
    image: dict[str, Any] = {}
    if shown.by_url:
        image["url"] = url_of(asset, base_url=base_url)
    if shown.inline and fits:
        with open_file(asset.storage_name) as file:
            image["b64_json"] = base64.b64encode(file.read()).decode()
    return image


def _images_of(job: Job) -> list[Asset]:
    return [asset for asset in assets_of([job]).get(job.pk, []) if asset.kind == "image"]


def _at(output: Any, place: Any) -> Any:
    for part in place:
        output = output[part]
    return output if isinstance(output, str) else None


def _goes_on(job_id: str, why: str) -> ApiError:
    hint = f"It runs on: ask for it at /api/v1/jobs/{job_id}, or send the request again with its Idempotency-Key."
    return ApiError("timeout", f"The job {job_id} is at work, but {why}.", hint)
