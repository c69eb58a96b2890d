"""Files over HTTP: what is known of one, with a fresh address."""

import orjson
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from ninja import Router

from catalog.api_shapes import ErrorShape
from genfeed.clients.auth import Identity, RequireScope
from genfeed.clients.errors import ApiError
from jobs.assets.api_shapes import AssetShape
from jobs.assets.models import Asset
from jobs.assets.rendering import render_asset

assets_router = Router(tags=["Assets"])

_READ_ERRORS = dict.fromkeys((400, 401, 403, 404, 429), ErrorShape)


@assets_router.get(
    "/assets/{asset_id}",
    auth=RequireScope("jobs:read"),
    response={200: AssetShape, **_READ_ERRORS},
    summary="Get a file",
    operation_id="get_asset",
)
def get_asset(request: HttpRequest, asset_id: str) -> HttpResponse:
    """One file of yours: type, size and length as read from it, and a signed address that needs no key."""
    asset = find_asset(request, asset_id)
    return HttpResponse(
        orjson.dumps(render_asset(asset, base_url=base_url_of(request))), content_type="application/json"
    )


def find_asset(request: HttpRequest, asset_id: str) -> Asset:
    """The caller's own file; another client's is as unknown as one that does not exist. Raises ApiError."""
    identity: Identity = request.auth  # type: ignore[attr-defined]
    own = Asset.objects.filter(client_id=identity.require_client().client_id).select_related("client")
    asset = own.filter(pk=asset_id[:40]).first()
    if asset is None:
        raise ApiError("not_found", f"There is no file {asset_id[:60]!r}.", "The jobs of yours list their files.")
    return asset


def base_url_of(request: HttpRequest) -> str | None:
    """Where the caller reached us; None where PUBLIC_URL says it for all."""
    return None if settings.PUBLIC_URL else request.build_absolute_uri("/")
