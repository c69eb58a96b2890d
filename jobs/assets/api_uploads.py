"""Uploads over HTTP: a file in a form, or its address as JSON; read and deleted by its owner."""

import orjson
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from ninja import Router

from catalog.api_shapes import ErrorShape
from genfeed.clients.auth import Identity, RequireScope
from genfeed.clients.errors import ApiError
from genfeed.net.bounded_json import read_json
from jobs.assets.api import base_url_of, delete_file, find_asset
from jobs.assets.api_shapes import AssetShape
from jobs.assets.models import Asset
from jobs.assets.rendering import render_asset
from jobs.assets.uploading import fetch_upload, store_upload, too_large

uploads_router = Router(tags=["Assets"])

_ERRORS = dict.fromkeys((400, 401, 403, 404, 413, 415, 422, 429, 503), ErrorShape)
# What a form adds around its file.
_FORM_BYTES = 64 * 1024
_LONGEST_JSON = 16 * 1024
_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {"file": {"type": "string", "format": "binary"}},
                }
            },
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["url"],
                    "additionalProperties": False,
                    "properties": {"url": {"type": "string", "maxLength": 4096}},
                }
            },
        },
    }
}
_HINT = 'Send multipart/form-data with one part "file", or JSON such as {"url": "https://example.com/a.png"}.'


@uploads_router.post(
    "/uploads",
    auth=RequireScope("jobs:write"),
    response={201: AssetShape, 202: AssetShape, **_ERRORS},
    summary="Bring a file",
    operation_id="create_upload",
    openapi_extra=_BODY,
)
def create_upload(request: HttpRequest) -> HttpResponse:
    """Stores a file for inputs of jobs, which name it as `asset:ast_…`.

    A file in a form is stored at once (201). One at a web address is fetched afterwards (202): read it again until its
    state is `stored`. What it is and how long it lasts is read from the file, and used by estimates.
    """
    client_id = _client_id(request)
    if request.content_type == "multipart/form-data":
        if _length(request) > settings.UPLOAD_MAX_BYTES + _FORM_BYTES:
            raise too_large()
        files = request.FILES.getlist("file")
        if len(files) != 1:
            raise ApiError("invalid_request", f"The form has {len(files)} parts named “file”.", _HINT)
        return _answer(request, store_upload(files[0], client_id), 201)
    return _answer(request, fetch_upload(_url(request), client_id), 202)


@uploads_router.get(
    "/uploads/{asset_id}",
    auth=RequireScope("jobs:read"),
    response={200: AssetShape, **_ERRORS},
    summary="Get an upload",
    operation_id="get_upload",
)
def get_upload(request: HttpRequest, asset_id: str) -> HttpResponse:
    """One file that you brought."""
    return _answer(request, _find(request, asset_id), 200)


@uploads_router.delete(
    "/uploads/{asset_id}",
    auth=RequireScope("jobs:write"),
    response={200: AssetShape, **_ERRORS},
    summary="Delete an upload",
    operation_id="delete_upload",
)
def delete_upload(request: HttpRequest, asset_id: str) -> HttpResponse:
    """Deletes the file; jobs that were sent with it go on. Deleting it again changes nothing."""
    return delete_file(request, _find(request, asset_id))


def _url(request: HttpRequest) -> str:
    if _length(request) > _LONGEST_JSON:
        raise ApiError("payload_too_large", "The body is too large.", _HINT)
    try:
        body = read_json(request.body)
    except orjson.JSONDecodeError:
        raise ApiError("invalid_request", "The body is neither a form with a file nor JSON.", _HINT) from None
    if not isinstance(body, dict) or set(body) != {"url"} or not isinstance(body["url"], str):
        raise ApiError("invalid_request", "The JSON must hold one text, `url`.", _HINT)
    return body["url"]


def _length(request: HttpRequest) -> int:
    text = request.META.get("CONTENT_LENGTH") or "0"
    return int(text) if text.isdigit() else 0


def _client_id(request: HttpRequest) -> int:
    identity: Identity = request.auth  # type: ignore[attr-defined]
    return identity.require_client().client_id


def _find(request: HttpRequest, asset_id: str) -> Asset:
    asset = find_asset(request, asset_id)
    if asset.origin != Asset.Origin.UPLOAD:
        raise ApiError("not_found", f"{asset_id[:60]!r} is no upload, but a file of a job.", "See /api/v1/assets.")
    return asset


def _answer(request: HttpRequest, asset: Asset, status: int) -> HttpResponse:
    body = orjson.dumps(render_asset(asset, base_url=base_url_of(request)))
    return HttpResponse(body, content_type="application/json", status=status)
