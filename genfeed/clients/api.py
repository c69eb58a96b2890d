"""Clients' own keys over HTTP."""

from datetime import timedelta
from typing import Annotated, Any

import orjson
from django.http import HttpRequest, HttpResponse
from ninja import Path, Query, Router
from pydantic import Field

from genfeed.clients import api_shapes as shapes
from genfeed.clients import self_service
from genfeed.clients.auth import Identity, RequireScope
from genfeed.clients.keys import Bounds
from genfeed.clients.models import ApiKey
from genfeed.clients.parameters import decode_cursor, encode_cursor, refuse_unknown_parameters
from genfeed.journal.times import rfc3339

keys_router = Router(auth=RequireScope("keys"), tags=["Keys"])

_ERRORS = dict.fromkeys((400, 401, 403, 404), shapes.ErrorShape)
_CONFLICTS = {409: shapes.ErrorShape, **_ERRORS}
KeyId = Annotated[str, Path(description="key_…, or the key's prefix."), Field(max_length=100)]


@keys_router.get("/keys", response={200: shapes.KeyList, **_ERRORS}, summary="List keys", operation_id="list_keys")
def list_keys(request: HttpRequest, page: Query[shapes.KeyPage]) -> HttpResponse:
    """Your keys, the newest first, those that ended too."""
    refuse_unknown_parameters(request, shapes.KeyPage)
    caller = _identity(request).require_client()
    rows = ApiKey.objects.filter(client_id=caller.live_id).select_related("replaced_by").order_by("-pk")
    if page.cursor is not None:
        rows = rows.filter(pk__lt=decode_cursor(page.cursor))
    found = list(rows[: page.limit + 1])
    shown = found[: page.limit]
    next_cursor = encode_cursor(shown[-1].pk) if len(found) > len(shown) else None
    return _json({"items": [_render(key) for key in shown], "next_cursor": next_cursor})


@keys_router.post(
    "/keys", response={201: shapes.NewKeyShape, **_CONFLICTS}, summary="Make a key", operation_id="create_key"
)
def create_key(request: HttpRequest, body: shapes.KeyBody) -> HttpResponse:
    """A new key that may do no more than the calling one. The answer is the only one that ever shows `api_key`."""
    identity = _identity(request)
    key, text = self_service.make_own_key(
        identity.require_client(),
        actor=identity.actor,
        name=body.name,
        scopes=body.scopes,
        is_test=body.is_test,
        expires_at=body.expires_at,
        bounds=Bounds(body.allowed_models, body.denied_models, body.jobs_per_minute, body.reads_per_minute),
    )
    return _json(_render(key) | {"api_key": text}, status=201)


@keys_router.get(
    "/keys/{key_id}", response={200: shapes.KeyShape, **_CONFLICTS}, summary="Get a key", operation_id="get_key"
)
def get_key(request: HttpRequest, key_id: KeyId) -> HttpResponse:
    """One of your keys: what it may do, and how much it is used."""
    return _json(_render(self_service.find_own_key(_identity(request).require_client(), key_id)))


@keys_router.post(
    "/keys/{key_id}/rotate", response={201: shapes.NewKeyShape, **_CONFLICTS}, summary="Rotate a key",
    operation_id="rotate_key",
)  # fmt: skip
def rotate_key(request: HttpRequest, key_id: KeyId, body: shapes.RotateBody | None = None) -> HttpResponse:
    """A successor with the same name, scopes, lists, limits and end. Both work until the overlap is over."""
    identity = _identity(request)
    caller = identity.require_client()
    key = self_service.find_own_key(caller, key_id)
    overlap = timedelta(seconds=body.overlap_seconds if body else shapes.DEFAULT_OVERLAP_SECONDS)
    made, text = self_service.rotate_own_key(caller, key, overlap=overlap, actor=identity.actor)
    return _json(_render(made) | {"api_key": text}, status=201)


@keys_router.post(
    "/keys/{key_id}/revoke", response={200: shapes.KeyShape, **_CONFLICTS}, summary="Revoke a key",
    operation_id="revoke_key",
)  # fmt: skip
def revoke_key(request: HttpRequest, key_id: KeyId) -> HttpResponse:
    """Ends a key for good; it is refused everywhere within two seconds. Also the calling one, if you name it."""
    identity = _identity(request)
    caller = identity.require_client()
    key = self_service.find_own_key(caller, key_id)
    return _json(_render(self_service.revoke_own_key(caller, key, actor=identity.actor)))


def _identity(request: HttpRequest) -> Identity:
    return request.auth  # type: ignore[attr-defined]


def _render(key: ApiKey) -> dict[str, Any]:
    moments = ("created_at", "expires_at", "revoked_at", "last_used_at")
    plain = (
        "name", "prefix", "scopes", "is_test", "state", "created_by", "uses", "allowed_models", "denied_models",
        "jobs_per_minute", "reads_per_minute",
    )  # fmt: skip
    return (
        {"id": key.public_id, "replaced_by": key.replaced_by.public_id if key.replaced_by else None}
        | {name: getattr(key, name) for name in plain}
        | {name: rfc3339(at) if (at := getattr(key, name)) else None for name in moments}
    )


def _json(body: Any, status: int = 200) -> HttpResponse:
    response = HttpResponse(orjson.dumps(body), content_type="application/json", status=status)
    # Some of these answers show a key.
    response.headers["Cache-Control"] = "no-store"
    return response
