"""Files over HTTP: a list of them, what is known of one, with a fresh address, and its deletion."""

from typing import Literal

import orjson
from django.conf import settings
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from ninja import Query, Router, Schema
from pydantic import Field

from catalog.api_shapes import ErrorShape
from genfeed.clients.auth import Identity, RequireScope
from genfeed.clients.errors import ApiError
from genfeed.clients.parameters import Moment
from jobs.assets.api_shapes import AssetPage, AssetShape, KindName, StateName
from jobs.assets.models import Asset
from jobs.assets.rendering import render_asset
from jobs.assets.retention import remove_file

assets_router = Router(tags=["Assets"])

_READ_ERRORS = dict.fromkeys((400, 401, 403, 404, 429), ErrorShape)


class AssetFilters(Schema):
    kind: KindName | None = None
    state: StateName | None = None
    origin: Literal["output", "upload"] | None = Field(None, description="Of jobs, or brought by you.")
    job: str | None = Field(None, max_length=40)
    created_after: Moment | None = None
    created_before: Moment | None = None
    limit: int = Field(20, ge=1, le=100)
    cursor: str | None = Field(None, max_length=60, description="next_cursor of the page before.")


@assets_router.get(
    "/assets",
    auth=RequireScope("jobs:read"),
    response={200: AssetPage, **_READ_ERRORS},
    summary="List files",
    operation_id="list_assets",
)
def list_assets(request: HttpRequest, filters: Query[AssetFilters]) -> HttpResponse:
    """Your files, newest first: of jobs and uploads."""
    wanted = {
        "kind": filters.kind,
        "state": filters.state,
        "origin": filters.origin,
        "job_id": (filters.job or "").replace("\x00", ""),
    }
    assets = _own(request).filter(**{name: value for name, value in wanted.items() if value})
    if filters.created_after:
        assets = assets.filter(created_at__gte=filters.created_after)
    if filters.created_before:
        assets = assets.filter(created_at__lt=filters.created_before)
    if filters.cursor:
        assets = assets.filter(id__lt=filters.cursor.replace("\x00", ""))
    found = list(assets.order_by("-id")[: filters.limit + 1])
    shown, base_url = found[: filters.limit], base_url_of(request)
    return _json(
        {
            "items": [render_asset(asset, base_url=base_url) for asset in shown],
            "next_cursor": shown[-1].pk if len(found) > filters.limit else None,
        }
    )


@assets_router.delete(
    "/assets/{asset_id}",
    auth=RequireScope("jobs:write"),
    response={200: AssetShape, **_READ_ERRORS},
    summary="Delete a file",
    operation_id="delete_asset",
)
def delete_asset(request: HttpRequest, asset_id: str) -> HttpResponse:
    """Deletes a file of a job, or one that you brought; the job's result stays. Again, it changes nothing."""
    return delete_file(request, find_asset(request, asset_id))


@assets_router.get(
    "/assets/{asset_id}",
    auth=RequireScope("jobs:read"),
    response={200: AssetShape, **_READ_ERRORS},
    summary="Get a file",
    operation_id="get_asset",
)
def get_asset(request: HttpRequest, asset_id: str) -> HttpResponse:
    """One file of yours: type, size and length as read from it, and a signed address that needs no key."""
    return _json(render_asset(find_asset(request, asset_id), base_url=base_url_of(request)))


def delete_file(request: HttpRequest, asset: Asset) -> HttpResponse:
    """Deletes a file, and answers with what is left of it. Raises ApiError where the storage fails."""
    if asset.state != Asset.State.EXPIRED or asset.storage_name:
        if not remove_file(asset, problem="you deleted it"):
            raise ApiError(
                "internal_error", "The file is not served any more, and could not be deleted yet.", "Try again."
            )
        asset.refresh_from_db()
    return _json(render_asset(asset, base_url=base_url_of(request)))


def find_asset(request: HttpRequest, asset_id: str) -> Asset:
    """The caller's own file; another client's is as unknown as one that does not exist. Raises ApiError."""
    asset = _own(request).filter(pk=asset_id[:40].replace("\x00", "")).first()
    if asset is None:
        raise ApiError("not_found", f"There is no file {asset_id[:60]!r}.", "The jobs of yours list their files.")
    return asset


def base_url_of(request: HttpRequest) -> str | None:
    """Where the caller reached us; None where PUBLIC_URL says it for all."""
    return None if settings.PUBLIC_URL else request.build_absolute_uri("/")


def _own(request: HttpRequest) -> QuerySet[Asset]:
    identity: Identity = request.auth  # type: ignore[attr-defined]
    return Asset.objects.filter(client_id=identity.require_client().client_id).select_related("client")


def _json(value: object) -> HttpResponse:
    return HttpResponse(orjson.dumps(value), content_type="application/json")
