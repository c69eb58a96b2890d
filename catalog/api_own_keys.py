"""A client's own keys at providers over HTTP: set, seen by their end alone, checked, removed."""

from datetime import datetime
from typing import Annotated, Any, Literal

import orjson
from django.http import HttpRequest, HttpResponse
from ninja import Path, Router, Schema
from pydantic import Field

from catalog.own_keys import check_again, require_core, require_provider, set_own_key
from genfeed.clients.api_shapes import ErrorShape
from genfeed.clients.auth import Identity, RequireScope
from genfeed.clients.errors import ApiError
from genfeed.clients.models import Client, ProviderKey
from genfeed.clients.provider_keys import drop_key, kept_key
from genfeed.journal.times import rfc3339

own_keys_router = Router(auth=RequireScope("keys"), tags=["Keys"])

_ERRORS = dict.fromkeys((400, 401, 403, 404), ErrorShape)
Slug = Annotated[str, Path(description="The provider's id, e.g. fal."), Field(max_length=40)]


class OwnKeyShape(Schema):
    provider: str
    hint: str = Field(description="The key's last characters; more of it is never shown.")
    state: Literal["unchecked", "valid", "invalid", "exhausted"]
    detail: str = Field(description="What the provider said when it was asked, in a sentence.")
    checked_at: datetime | None
    set_at: datetime
    set_by: str


class OwnKeyList(Schema):
    items: list[OwnKeyShape]


class OwnKeyBody(Schema):
    key: str = Field(min_length=1, max_length=600, description="As the provider gives it; write-only.")


@own_keys_router.get(
    "/provider-keys", response={200: OwnKeyList, **_ERRORS}, summary="List own provider keys",
    operation_id="list_provider_keys",
)  # fmt: skip
def list_own_keys(request: HttpRequest) -> HttpResponse:
    """The keys at providers that your jobs run with (core mode). Providers without one run on the installation's."""
    require_core()
    rows = ProviderKey.objects.filter(client_id=_client_id(request))
    return _json({"items": [_render(row) for row in rows]})


@own_keys_router.put(
    "/provider-keys/{provider}", response={200: OwnKeyShape, **_ERRORS}, summary="Set an own provider key",
    operation_id="set_provider_key",
)  # fmt: skip
def set_key(request: HttpRequest, provider: Slug, body: OwnKeyBody) -> HttpResponse:
    """Checks the key with the provider and keeps it encrypted, for your jobs alone. A refused key changes nothing."""
    client = Client.objects.get(pk=_client_id(request))
    return _json(_render(set_own_key(client, provider, body.key, actor=_identity(request).actor)))


@own_keys_router.post(
    "/provider-keys/{provider}/check", response={200: OwnKeyShape, **_ERRORS}, summary="Check an own provider key",
    operation_id="check_provider_key",
)  # fmt: skip
def check_key(request: HttpRequest, provider: Slug) -> HttpResponse:
    """Asks the provider once more whether it accepts the key, e.g. after topping the account up."""
    return _json(_render(check_again(_own(request, provider))))


@own_keys_router.delete(
    "/provider-keys/{provider}", response={204: None, **_ERRORS}, summary="Remove an own provider key",
    operation_id="delete_provider_key",
)  # fmt: skip
def delete_key(request: HttpRequest, provider: Slug) -> HttpResponse:
    """Forgets the key. Jobs that were accepted with it go on with it."""
    drop_key(_own(request, provider), actor=_identity(request).actor)
    return HttpResponse(status=204)


def _own(request: HttpRequest, provider: str) -> ProviderKey:
    require_core()
    require_provider(provider)
    row = kept_key(_client_id(request), provider)
    if row is None:
        raise ApiError(
            "not_found", f"You have set no key for {provider}.", f"PUT it to /api/v1/provider-keys/{provider}."
        )
    return row


def _client_id(request: HttpRequest) -> int:
    caller = _identity(request).require_client()
    if caller.is_test:
        raise ApiError(
            "forbidden_scope",
            "This is a test key: test jobs run on the built-in sandbox and need no key of a provider.",
            "Use a live key.",
        )
    return caller.client_id


def _identity(request: HttpRequest) -> Identity:
    return request.auth  # type: ignore[attr-defined]


def _render(row: ProviderKey) -> dict[str, Any]:
    return {
        "provider": row.provider,
        "hint": row.hint,
        "state": row.state,
        "detail": row.detail,
        "checked_at": rfc3339(row.checked_at) if row.checked_at else None,
        "set_at": rfc3339(row.set_at),
        "set_by": row.set_by,
    }


def _json(body: Any) -> HttpResponse:
    response = HttpResponse(orjson.dumps(body), content_type="application/json")
    response.headers["Cache-Control"] = "no-store"
    return response
