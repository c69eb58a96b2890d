"""Handing out stored files at signed addresses: in pieces, in ranges, and so that no file acts as a page of ours."""

from __future__ import annotations

import logging
from typing import BinaryIO

from django.http import FileResponse, HttpRequest, HttpResponse, HttpResponseBase
from django.utils.http import http_date, parse_http_date_safe

from genfeed.clients.errors import ApiError, error_response
from jobs.assets import links
from jobs.assets.models import Asset
from jobs.assets.ranges import Part, UnsatisfiableError, part_of
from jobs.assets.rendering import is_withheld
from jobs.assets.storage import open_file

logger = logging.getLogger(__name__)

_PIECE = 256 * 1024
# Shown by the browser itself; everything else is saved.
_SHOWN = ("image/", "video/", "audio/")
_SAVED = ("application/json", "text/plain", "application/pdf")
# No script, no form, no frame, no origin: an SVG or a text opened by its address is a picture of itself.
_SANDBOX = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:"
_AGAIN = "Read the job or the asset again: its answer carries a fresh address."


def serve(request: HttpRequest, asset_id: str, name: str) -> HttpResponseBase:
    """GET and HEAD of /assets/{id}/{name}?exp=…&sig=…, for whoever has the address."""
    try:
        return _serve(request, asset_id, name)
    except ApiError as error:
        return error_response(error)


def _serve(request: HttpRequest, asset_id: str, name: str) -> HttpResponseBase:
    if request.method not in ("GET", "HEAD"):
        raise ApiError("invalid_request", "Files are only read.", "Send GET or HEAD.", status=405)
    expires, signature = request.GET.get("exp", ""), request.GET.get("sig", "")
    if not (expires.isascii() and expires.isdigit()) or not links.is_signed(asset_id, name, expires, signature):
        raise ApiError("not_found", "There is no file at this address.", "Use the address as it was given.")
    if links.is_over(expires):
        raise ApiError("forbidden_scope", "The time of this address has passed.", _AGAIN)
    asset = Asset.objects.filter(pk=asset_id).select_related("client").first()
    if asset is None:
        raise ApiError("not_found", "There is no file at this address.", _AGAIN)
    if asset.state == Asset.State.EXPIRED:
        raise ApiError("not_found", "The file was deleted: its time has passed.", "Run the job again.", status=410)
    if asset.state != Asset.State.STORED or asset.size is None:
        raise ApiError("not_found", "The file is not here.", _AGAIN)
    if is_withheld(asset):
        raise ApiError("content_refused", "The file is withheld: it is flagged as NSFW.", "", status=403)
    return answer_with(request, asset)


def answer_with(request: HttpRequest, asset: Asset) -> HttpResponseBase:
    """GET or HEAD of a stored file that whoever asks may have: whole, in part, or unchanged. Raises ApiError."""
    size = asset.size or 0
    etag = f'"{asset.sha256}"'
    if etag in _tags(request.headers.get("If-None-Match", "")):
        return _with_headers(HttpResponse(status=304), asset, etag)
    part: Part | None = None
    if _range_counts(request.headers.get("If-Range"), asset, etag):
        try:
            part = part_of(request.headers.get("Range", ""), size)
        except UnsatisfiableError:
            response = HttpResponse(status=416)
            response.headers["Content-Range"] = f"bytes */{size}"
            return _with_headers(response, asset, etag)
    whole = part or Part(0, size - 1)
    status = 200 if part is None else 206
    answer: HttpResponseBase = HttpResponse(status=status)
    if request.method == "GET":
        try:
            file = open_file(asset.storage_name, whole.start, whole.length)
        except FileNotFoundError:
            raise ApiError("not_found", "The file is not here.", _AGAIN) from None
        except OSError:
            logger.exception("the storage does not give a file", extra={"asset": asset.pk})
            raise ApiError(
                "internal_error", "The storage does not answer.", "Try again in a moment.", status=503, retry_after=5
            ) from None
        answer = FileResponse(_PartOfFile(file, whole), status=status)
        answer.block_size = _PIECE
    answer.headers["Content-Length"] = str(whole.length)
    if part is not None:
        answer.headers["Content-Range"] = f"bytes {part.start}-{part.end}/{size}"
    return _with_headers(answer, asset, etag)


class _PartOfFile:
    """A part of a file; closed by the response, also where nobody reads it to its end."""

    def __init__(self, file: BinaryIO, part: Part) -> None:
        self._file = file
        self._left = part.length

    def read(self, size: int) -> bytes:
        piece = self._file.read(min(size, self._left))
        self._left -= len(piece)
        return piece

    def close(self) -> None:
        self._file.close()


def _with_headers(response: HttpResponseBase, asset: Asset, etag: str) -> HttpResponseBase:
    content_type = asset.content_type
    is_shown = content_type.startswith(_SHOWN) or content_type in _SAVED
    headers = response.headers
    headers["Content-Type"] = f"{content_type}; charset=utf-8" if content_type.startswith("text/") else content_type
    headers["Content-Disposition"] = f'{"inline" if is_shown else "attachment"}; filename="{asset.name}"'
    headers["ETag"] = etag
    headers["Accept-Ranges"] = "bytes"
    headers["Cache-Control"] = "private, max-age=3600"
    headers["X-Content-Type-Options"] = "nosniff"
    # Whoever has the address may put the file on a page of theirs, and read it there.
    headers["Access-Control-Allow-Origin"] = "*"
    headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    headers["Referrer-Policy"] = "no-referrer"
    if asset.stored_at:
        headers["Last-Modified"] = http_date(asset.stored_at.timestamp())
    if not content_type.startswith(_SHOWN) or content_type == "image/svg+xml":
        headers["Content-Security-Policy"] = _SANDBOX
    return response


def _tags(header: str) -> set[str]:
    return {tag.strip().removeprefix("W/") for tag in header.split(",")}


def _range_counts(if_range: str | None, asset: Asset, etag: str) -> bool:
    """Whether a Range header is to be followed: If-Range names the file as it was; it never changes here."""
    if if_range is None or if_range.strip() == etag:
        return True
    stored = parse_http_date_safe(if_range)
    return bool(stored is not None and asset.stored_at and int(asset.stored_at.timestamp()) == stored)
