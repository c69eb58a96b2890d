"""The catalog for other installations over HTTP, and the key by which they know it."""

from __future__ import annotations

import re
from typing import Annotated

import orjson
from django.http import HttpRequest, HttpResponse
from ninja import Query, Router

from catalog import api_shapes
from catalog.exchange.signing import fingerprint, own_public_key
from genfeed.clients.answer_kinds import also_as
from genfeed.clients.auth import Identity, RequireScope
from genfeed.clients.errors import ApiError
from pricing.exchange import rendering

export_router = Router(auth=RequireScope("models:read"), tags=["Models"])

_RANGE = re.compile(r"bytes=(\d{1,12})-")
_ERRORS = dict.fromkeys((400, 401, 403, 404, 416, 503), api_shapes.ErrorShape)


@export_router.get(
    "/catalog/export", response={200: bytes, **_ERRORS}, summary="Export the catalog",
    operation_id="export_catalog", openapi_extra=also_as("application/octet-stream"),
)  # fmt: skip
def export_catalog(
    request: HttpRequest,
    since: Annotated[int, Query(ge=0, lt=2**62, description="The revision that is had: only what changed since.")] = 0,
) -> HttpResponse:
    """Models, schemas, list prices and price rules as a signed file, for another installation (docs/core.md).

    Send `If-None-Match` with the ETag of the export that you took last: 304 says that it is the newest, and `since` is
    followed only where it is an export of this catalog's history. An interrupted download goes on with
    `Range: bytes=N-` and `If-Range`.
    """
    identity: Identity = request.identity  # type: ignore[attr-defined]
    if identity.key is not None and identity.key.restriction is not None:
        raise ApiError(
            "forbidden_scope",
            "This key may use some models only, and the export holds all.",
            "Use a key without lists of models.",
        )
    export = rendering.newest() or rendering.refresh()
    if export is None:
        raise ApiError(
            "not_found", "There is no catalog here yet.", "Ask again when its first sync is done, or ask the operator."
        )
    if export.etag in request.headers.get("If-None-Match", ""):
        return _with_headers(HttpResponse(status=304), export)
    body = rendering.body_of(export, since=since, had=request.headers.get("If-None-Match", ""))
    if body is None:
        raise ApiError("provider_unavailable", "The catalog has just changed.", "Ask again in a moment.", retry_after=1)
    return _with_headers(_ranged(request, body, export), export)


def _ranged(request: HttpRequest, body: bytes, export: rendering.Newest) -> HttpResponse:
    """All of it, or what follows the bytes that are had of the same export."""
    wanted = _RANGE.fullmatch(request.headers.get("Range", ""))
    if wanted is None or request.headers.get("If-Range", export.etag) != export.etag:
        return HttpResponse(body, content_type="application/octet-stream")
    start = int(wanted[1])
    if start >= len(body):
        answer = HttpResponse(status=416, content_type="application/octet-stream")
        answer["Content-Range"] = f"bytes */{len(body)}"
        return answer
    answer = HttpResponse(body[start:], status=206, content_type="application/octet-stream")
    answer["Content-Range"] = f"bytes {start}-{len(body) - 1}/{len(body)}"
    return answer


def _with_headers(answer: HttpResponse, export: rendering.Newest) -> HttpResponse:
    answer["ETag"] = export.etag
    answer["Cache-Control"] = "private, no-cache"
    answer["Accept-Ranges"] = "bytes"
    return answer


def well_known_key(_request: HttpRequest) -> HttpResponse:
    """`/.well-known/genfeed-catalog-key`: the public key of this installation's exports, for everybody."""
    export = rendering.newest()
    key = (export.public_key if export else "") or own_public_key()
    told = {"algorithm": "Ed25519", "public_key": key, "fingerprint": fingerprint(key)}
    answer = HttpResponse(orjson.dumps(told), content_type="application/json")
    answer["Cache-Control"] = "public, max-age=3600"
    return answer
