"""Uploads as fal's browser client does them: it asks where a file may be put, puts it there, and names its address.

The file becomes an upload like any other (`/api/v1/uploads`), private to the client.
"""

from __future__ import annotations

import orjson
from django.conf import settings
from django.core.files.uploadedfile import TemporaryUploadedFile
from django.db import IntegrityError
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from genfeed.clients.errors import ApiError
from genfeed.clients.keys import Caller, find_key
from genfeed.clients.sealing import CannotUnsealError, seal, unseal
from genfeed.net.bounded_json import read_json
from jobs.assets.finding import safe_name
from jobs.assets.links import signed_url
from jobs.assets.uploading import store_upload, too_large
from jobs.ids import new_id

# From the answer to the put.
SECONDS = 3_600
_PURPOSE = "upload by address"
_PIECE = 256 * 1024
_HINT = 'Send {"content_type": "image/png", "file_name": "a.png"}.'


def initiate(request: HttpRequest, caller: Caller, base_url: str) -> HttpResponse:
    """`upload_url` takes the bytes by PUT, without a key, within an hour; `file_url` is where they are then."""
    if request.method != "POST":
        raise ApiError("invalid_request", "This method is not allowed here.", "POST it.", status=405)
    try:
        body = read_json(request.body)
    except orjson.JSONDecodeError:
        body = None
    named = body.get("file_name") if isinstance(body, dict) else None
    if not isinstance(named, str) or not named.strip():
        raise ApiError("invalid_request", "The body names no file.", _HINT)
    asset_id, name = new_id("ast"), safe_name(named)
    told = [asset_id, caller.client_id, caller.key_id, name, int(timezone.now().timestamp()) + SECONDS]
    token = seal(orjson.dumps(told).decode(), purpose=_PURPOSE)
    urls = {
        "upload_url": f"{base_url}/fal/storage/files?token={token}",
        "file_url": signed_url(asset_id, name, base_url=base_url),
    }
    return HttpResponse(orjson.dumps(urls), content_type="application/json")


def receive(request: HttpRequest) -> HttpResponse:
    """Stores what is put at an `upload_url`, once. Raises ApiError."""
    if request.method != "PUT":
        raise ApiError("invalid_request", "This method is not allowed here.", "PUT the bytes.", status=405)
    asset_id, client_id, key_id, name, expires_at = _read(request.GET.get("token", ""))
    if expires_at <= timezone.now().timestamp():
        raise ApiError("unauthorized", "The time of this address has passed.", "Ask for a new one.")
    if find_key(key_id) is None:
        raise ApiError("unauthorized", "The key that asked for this address has ended.", "Ask for one with another.")
    with TemporaryUploadedFile(name, "application/octet-stream", 0, None) as file:
        size = 0
        while piece := request.read(_PIECE):
            size += len(piece)
            if size > settings.UPLOAD_MAX_BYTES:
                raise too_large()
            file.write(piece)
        file.size = size
        file.seek(0)
        try:
            asset = store_upload(file, client_id, asset_id=asset_id)
        except IntegrityError:
            raise ApiError("conflict", "A file was put here before.", "Ask for a new address.") from None
    body = {"id": asset.pk, "content_type": asset.content_type, "file_size": asset.size}
    return HttpResponse(orjson.dumps(body), content_type="application/json")


def _read(token: str) -> tuple[str, int, int, str, int]:
    try:
        asset_id, client_id, key_id, name, expires_at = orjson.loads(unseal(token[:4_000], purpose=_PURPOSE))
    except (CannotUnsealError, ValueError):
        raise ApiError("not_found", "There is nothing to be put here.", "Use the address as it was given.") from None
    return asset_id, client_id, key_id, name, expires_at
