"""Resumable uploads by the tus protocol 1.0: creation (also with the first bytes), checksum, expiration, termination.

https://tus.io/protocols/resumable-upload gives the headers and statuses; any client of that protocol will do.
"""

from __future__ import annotations

import base64
import binascii
import functools
import re
from collections.abc import Callable

import orjson
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.http import http_date
from ninja import Router

from catalog.api_shapes import ErrorShape
from genfeed.clients.auth import Identity, RequireScope
from genfeed.clients.errors import ApiError, error_response
from jobs.assets.api import base_url_of
from jobs.assets.api_shapes import AssetShape
from jobs.assets.models import Asset, PartialUpload
from jobs.assets.receiving import ALGORITHMS, Checksum, begin, moved, receive
from jobs.assets.rendering import render_asset
from jobs.assets.retention import remove_file

resumable_router = Router(tags=["Assets"])

VERSION = "1.0.0"
_BODY_TYPE = "application/offset+octet-stream"
_NUMBER = re.compile(r"[0-9]{1,15}")
_ERRORS = dict.fromkeys((400, 401, 403, 404, 409, 410, 412, 413, 415, 429, 460, 507), ErrorShape)
_BODY = {"requestBody": {"content": {_BODY_TYPE: {"schema": {"type": "string", "format": "binary"}}}}}
_HINT = "See https://tus.io/protocols/resumable-upload; any client of it will do."
View = Callable[..., HttpResponse]


def _speaks_tus(view: View) -> View:
    """Asks for the protocol's version, and names ours in every answer."""

    @functools.wraps(view)
    def wrapped(request: HttpRequest, *args: str, **kwargs: str) -> HttpResponse:
        try:
            told = request.headers.get("Tus-Resumable")
            if told != VERSION:
                raise ApiError("invalid_request", f"Tus-Resumable must be {VERSION}, not {told}.", _HINT, status=412)
            response = view(request, *args, **kwargs)
        except ApiError as error:
            response = error_response(error)
            if error.status == 412:
                response.headers["Tus-Version"] = VERSION
        response.headers["Tus-Resumable"] = VERSION
        return response

    return wrapped


@resumable_router.api_operation(
    ["OPTIONS"], "/uploads/resumable", auth=None, response={204: None}, operation_id="describe_resumable_uploads",
    summary="What resumable uploads can do",
)  # fmt: skip
def describe(request: HttpRequest) -> HttpResponse:
    """Version, extensions and the largest size, as the protocol asks for them."""
    response = HttpResponse(status=204)
    response.headers["Tus-Resumable"] = response.headers["Tus-Version"] = VERSION
    response.headers["Tus-Extension"] = "creation,creation-with-upload,checksum,expiration,termination"
    response.headers["Tus-Checksum-Algorithm"] = ",".join(ALGORITHMS)
    response.headers["Tus-Max-Size"] = str(settings.RESUMABLE_MAX_BYTES)
    return response


@resumable_router.post(
    "/uploads/resumable",
    auth=RequireScope("jobs:write"),
    response={201: AssetShape, **_ERRORS},
    summary="Begin a resumable upload",
    operation_id="begin_resumable_upload",
)
@_speaks_tus
def create(request: HttpRequest) -> HttpResponse:
    """Announces a file by `Upload-Length`, and its name by `Upload-Metadata`; `Location` says where its bytes go.

    The last part of that address is the file's id, `ast_…`.
    """
    identity: Identity = request.auth  # type: ignore[attr-defined]
    length = _number(request, "Upload-Length")
    metadata = request.headers.get("Upload-Metadata", "")
    if len(metadata) > 2000:
        raise ApiError("invalid_request", "Upload-Metadata is longer than 2000 characters.", "Send the name alone.")
    upload = begin(identity.require_client().client_id, length=length, metadata=metadata)
    if request.content_type == _BODY_TYPE:
        try:
            _receive(request, upload)
        except ApiError:
            # The answer tells no address, so nobody could go on with it.
            if remove_file(upload.asset, problem="its first bytes were refused"):
                upload.asset.delete()
            raise
    response = _answer(upload, 201)
    response.headers["Content-Type"] = "application/json"
    response.content = orjson.dumps(render_asset(upload.asset, base_url=base_url_of(request)))
    # Relative: whatever stands between us and the caller has its own idea of scheme and host.
    response.headers["Location"] = f"{request.path}/{upload.pk}"
    return response


@resumable_router.api_operation(
    ["HEAD"], "/uploads/resumable/{asset_id}", auth=RequireScope("jobs:write"), response={200: None, **_ERRORS},
    operation_id="get_resumable_offset", summary="How much of a resumable upload is here",
)  # fmt: skip
@_speaks_tus
def head(request: HttpRequest, asset_id: str) -> HttpResponse:
    """`Upload-Offset` says where to go on."""
    return _answer(_find(request, asset_id), 200)


@resumable_router.patch(
    "/uploads/resumable/{asset_id}",
    auth=RequireScope("jobs:write"),
    response={204: None, **_ERRORS},
    openapi_extra=_BODY,
    summary="Send bytes of a resumable upload",
    operation_id="send_resumable_bytes",
)
@_speaks_tus
def patch(request: HttpRequest, asset_id: str) -> HttpResponse:
    """Appends the body at `Upload-Offset`. After the last byte the file is read and stored: see the upload's state."""
    if request.content_type != _BODY_TYPE:
        raise ApiError("unsupported_media", f"Content-Type must be {_BODY_TYPE}.", _HINT)
    upload = _find(request, asset_id)
    if _number(request, "Upload-Offset") != upload.offset:
        raise moved()
    _receive(request, upload)
    return _answer(upload, 204)


@resumable_router.delete(
    "/uploads/resumable/{asset_id}",
    auth=RequireScope("jobs:write"),
    response={204: None, **_ERRORS},
    summary="Give up a resumable upload",
    operation_id="end_resumable_upload",
)
@_speaks_tus
def terminate(request: HttpRequest, asset_id: str) -> HttpResponse:
    """Deletes what has arrived."""
    remove_file(_find(request, asset_id).asset, problem="you deleted it")
    return HttpResponse(status=204)


def _find(request: HttpRequest, asset_id: str) -> PartialUpload:
    identity: Identity = request.auth  # type: ignore[attr-defined]
    client_id = identity.require_client().client_id
    own = Asset.objects.filter(client_id=client_id, origin=Asset.Origin.UPLOAD, pk=asset_id[:40].replace("\x00", ""))
    asset = own.select_related("partial").first()
    if asset is None:
        raise ApiError("not_found", f"There is no upload {asset_id[:60]!r}.", "Begin one with POST.")
    upload: PartialUpload | None = getattr(asset, "partial", None)
    is_late = upload is not None and asset.state == Asset.State.PARTIAL and upload.expires_at <= timezone.now()
    if is_late or asset.state in (Asset.State.EXPIRED, Asset.State.REFUSED, Asset.State.FAILED):
        why = "it was not completed in time" if is_late else asset.problem
        raise ApiError("not_found", f"The upload is gone: {why}.", "Begin another with POST.", status=410)
    if upload is None:
        # Stored: a caller that missed the last answer hears that all is here.
        size = asset.size or 0
        return PartialUpload(asset=asset, length=size, offset=size, expires_at=timezone.now())
    return upload


def _receive(request: HttpRequest, upload: PartialUpload) -> None:
    left = upload.length - upload.offset
    announced = request.META.get("CONTENT_LENGTH") or ""
    if announced.isdigit() and int(announced) > left:
        raise ApiError("payload_too_large", f"{left} bytes are missing, and {announced} were sent.", _HINT)
    checksum = _checksum(request)
    # Django takes a body without a length, one sent in chunks, for an empty one.
    source = request if announced.isdigit() else request.META.get("wsgi.input", request)
    receive(upload, source.read, checksum=checksum)


def _checksum(request: HttpRequest) -> Checksum | None:
    told = request.headers.get("Upload-Checksum")
    if told is None:
        return None
    algorithm, _, digest = told.partition(" ")
    if algorithm not in ALGORITHMS:
        raise ApiError("invalid_request", f"{algorithm[:20]!r} is not one of {', '.join(ALGORITHMS)}.", _HINT)
    try:
        return Checksum(algorithm, base64.b64decode(digest, validate=True))
    except binascii.Error:
        raise ApiError("invalid_request", "Upload-Checksum is no base64.", _HINT) from None


def _number(request: HttpRequest, name: str) -> int:
    text = request.headers.get(name, "")
    if not _NUMBER.fullmatch(text):
        raise ApiError("invalid_request", f"{name} must be a number of bytes.", _HINT)
    return int(text)


def _answer(upload: PartialUpload, status: int) -> HttpResponse:
    response = HttpResponse(status=status)
    response.headers["Upload-Offset"] = str(upload.offset)
    response.headers["Cache-Control"] = "no-store"
    if status == 200:
        response.headers["Upload-Length"] = str(upload.length)
        if upload.metadata:
            response.headers["Upload-Metadata"] = upload.metadata
    if upload.offset < upload.length:
        response.headers["Upload-Expires"] = http_date(upload.expires_at.timestamp())
    return response
