"""The catalog over HTTP: for clients the models they may use, for admins all of them with their switches and syncs."""

from collections import Counter
from decimal import Decimal
from typing import Annotated, Any, Literal

import orjson
from django.db import transaction
from django.db.models import Max, Q
from django.http import HttpRequest, HttpResponse
from ninja import Path, Query, Router, Schema
from pydantic import Field

from catalog import api_shapes as shapes
from catalog import discovery, listing, narrowing, published
from catalog.api_status import mark_age
from catalog.availability import SwitchResult, switch_models
from catalog.models import AIModel, Provider, SchemaVersion, SyncRun
from catalog.own_schemas import without_fixed
from catalog.providers import base
from genfeed.clients.auth import Identity, RequireScope
from genfeed.clients.errors import ApiError
from genfeed.clients.parameters import refuse_unknown_parameters
from genfeed.journal.audit import Change, record

models_router = Router(auth=RequireScope("models:read"), tags=["Models"])
admin_router = Router(auth=RequireScope("admin"), tags=["Administration"])

_ERRORS = {400: shapes.ErrorShape, 401: shapes.ErrorShape, 403: shapes.ErrorShape, 404: shapes.ErrorShape}
ModelId = Annotated[str, Path(description="A model id (it may contain slashes), or provider:id.")]

_RUN_FIELDS = (
    "id", "status", "trigger", "full", "phase", "done", "total", "listed", "added", "changed", "updated", "retired",
    "failed", "error", "revision",
)  # fmt: skip


class ModelFilters(Schema):
    provider: str | None = None
    category: str | None = Field(None, description="The provider's word, e.g. text-to-image.")
    media_type: Literal["image", "video", "audio", "text", "3d", "other"] | None = None
    kind: Literal["inference", "training"] | None = None
    capability: str | None = Field(None, description="e.g. image_input, lora, seed.")
    status: Literal["active", "deprecated", "retired"] | None = None
    enabled: bool | None = Field(None, description="Clients see enabled models only; with scope admin also the others.")
    q: str | None = Field(None, max_length=200, description="Words that must all appear in id, name or description.")
    max_price: Decimal | None = Field(
        None, ge=0, lt=10**12, max_digits=30, description="The most that one unit may cost, in USD, whatever the unit."
    )
    sort: Literal["id", "name", "updated_at", "-updated_at", "price", "-price"] = Field(
        "id", description="By price: by that of one unit, whatever the unit; unknown ones last."
    )
    limit: int = Field(50, ge=1, le=200)
    cursor: str | None = Field(None, max_length=1000, description="next_cursor of the page before.")


@models_router.get(
    "/models", response={200: shapes.ModelPage, **_ERRORS}, summary="List models", operation_id="list_models"
)
def list_models(request: HttpRequest, filters: Query[ModelFilters]) -> HttpResponse:
    """The models that may be used, a page at a time. Answers carry an ETag; ask again with If-None-Match."""
    return _page(request, _catalog(request), filters)


@models_router.get(
    "/models/fal", response={200: shapes.LegacyList, **_ERRORS}, summary="List fal's models in the legacy shape",
    operation_id="list_fal_models",
)  # fmt: skip
def list_fal_models(request: HttpRequest) -> HttpResponse:
    """All enabled models of fal.ai in one answer, in the shape of existing collections."""
    catalog = _catalog(request)
    return _cached(request, catalog, lambda: listing.legacy_list(catalog, "fal"))


@models_router.get(
    "/models/{path:model_id}", response={200: shapes.ModelDetailShape, 409: shapes.ErrorShape, **_ERRORS},
    summary="Get a model", operation_id="get_model",
)  # fmt: skip
def get_model(request: HttpRequest, model_id: ModelId) -> HttpResponse:
    """A model with its input and output fields and schemas."""
    return _detail(request, find_model(model_id, _identity(request), offered_only=not _identity(request).is_admin))


@models_router.get(
    "/providers",
    response={200: shapes.ProviderList, **_ERRORS},
    summary="List providers",
    operation_id="list_providers",
)
def list_providers(request: HttpRequest) -> HttpResponse:
    """The providers with the state of their catalogs."""
    succeeded = Max("sync_runs__finished_at", filter=Q(sync_runs__status=SyncRun.Status.SUCCEEDED))
    rows = {row.slug: row for row in Provider.objects.annotate(synced_at=succeeded)}
    offered = Counter(entry.provider for entry in _catalog(request).entries if entry.enabled)
    newest = dict(
        SyncRun.objects.filter(pk__in=SyncRun.objects.values("provider").annotate(last=Max("pk")).values("last"))
        .values_list("provider__slug", "status")
    )  # fmt: skip
    items = []
    for entry in base.in_use():
        provider = base.open_provider(entry.slug)
        row = rows.get(entry.slug)
        synced_at = row.synced_at if row else None
        items.append(
            {
                "id": entry.slug,
                "name": entry.name,
                "configured": provider.is_configured(),
                "models": offered[entry.slug],
                "last_synced_at": published.rfc3339(synced_at) if synced_at else None,
                "sync_status": newest.get(entry.slug),
            }
        )
        provider.close()
    return _json({"items": items})


@admin_router.get(
    "/models", response={200: shapes.ModelPage, **_ERRORS}, summary="List all models", operation_id="admin_list_models"
)
def admin_list_models(request: HttpRequest, filters: Query[ModelFilters]) -> HttpResponse:
    """All models, those that clients are not offered too, each with the reason."""
    _identity(request).require("catalog.view_aimodel")
    return _page(request, narrowing.narrowed(published.current(), _identity(request).key), filters)


@admin_router.post(
    "/models/bulk-toggle", response={200: shapes.ToggleResult, 409: shapes.ErrorShape, **_ERRORS},
    summary="Switch many models", operation_id="bulk_toggle_models",
)  # fmt: skip
def bulk_toggle(request: HttpRequest, body: shapes.BulkToggleBody) -> HttpResponse:
    """Switches models on or off: all of them or, where one id is unknown, none."""
    identity = _identity(request)
    identity.require("catalog.switch_aimodel")
    catalog = narrowing.seen_by(identity.key)
    entries, unknown = [], []
    for model_id in dict.fromkeys(body.ids):
        try:
            entries.append(published.find(model_id, offered_only=False, within=catalog))
        except published.ModelNotFoundError:
            unknown.append(model_id)
        except published.ModelAmbiguousError as trouble:
            raise _ambiguous(trouble) from trouble
    if unknown:
        raise ApiError(
            "model_not_found", f"{len(unknown)} of these models do not exist; nothing was changed.",
            "Leave out the unknown ids, or correct them.", details={"unknown": unknown[:100]},
        )  # fmt: skip
    return _switch(identity, [entry.pk for entry in entries], on=body.enabled, reason=body.reason)


@admin_router.post(
    "/models/{path:model_id}/toggle", response={200: shapes.ToggleResult, 409: shapes.ErrorShape, **_ERRORS},
    summary="Switch a model", operation_id="toggle_model",
)  # fmt: skip
def toggle(request: HttpRequest, model_id: ModelId, body: shapes.ToggleBody | None = None) -> HttpResponse:
    """Switches one model on or off, or, without `enabled`, over."""
    identity = _identity(request)
    identity.require("catalog.switch_aimodel")
    entry = find_model(model_id, identity, offered_only=False)
    body = body or shapes.ToggleBody(enabled=None, reason="")
    on = not AIModel.objects.get(pk=entry.pk).enabled if body.enabled is None else body.enabled
    return _switch(identity, [entry.pk], on=on, reason=body.reason)


@admin_router.post(
    "/sync", response={202: shapes.SyncShape, **_ERRORS}, summary="Start a sync", operation_id="start_sync"
)
def start_sync(request: HttpRequest, body: shapes.SyncBody | None = None) -> HttpResponse:
    """Asks for a sync of a provider. While one is open, that one is answered instead of a second."""
    identity = _identity(request)
    identity.require("catalog.sync_provider")
    body = body or shapes.SyncBody(full=False)
    try:
        with transaction.atomic():
            run, is_new = discovery.request_sync(
                body.provider, trigger="api", requested_by=identity.actor.name, full=body.full
            )
            if is_new:
                record("sync.requested", [Change(run, after={"full": run.full})], actor=identity.actor)
    except base.UnknownProviderError as error:
        raise ApiError("not_found", str(error), "Use the id of a provider from /api/v1/providers.") from error
    return _json(_render_run(run), status=202)


@admin_router.get("/sync", response={200: shapes.SyncList, **_ERRORS}, summary="List syncs", operation_id="list_syncs")
def list_syncs(request: HttpRequest) -> HttpResponse:
    """The newest fifty syncs."""
    _identity(request).require("catalog.view_syncrun")
    runs = SyncRun.objects.select_related("provider").defer("report")[:50]
    return _json({"items": [_render_run(run) for run in runs]})


@admin_router.get(
    "/sync/{int:run_id}",
    response={200: shapes.SyncDetailShape, **_ERRORS},
    summary="Get a sync",
    operation_id="get_sync",
)
def get_sync(request: HttpRequest, run_id: int) -> HttpResponse:
    """A sync with its progress and, when it is done, its report."""
    _identity(request).require("catalog.view_syncrun")
    run = SyncRun.objects.select_related("provider").filter(pk=run_id).first()
    if run is None:
        raise ApiError("not_found", f"There is no sync {run_id}.", "List them at /api/v1/admin/sync.")
    return _json(_render_run(run) | {"report": run.report})


def _identity(request: HttpRequest) -> Identity:
    return request.auth  # type: ignore[attr-defined]


def _catalog(request: HttpRequest) -> published.Published:
    """The catalog with the prices and the models of whoever asks."""
    return narrowing.seen_by(_identity(request).key)


def _page(request: HttpRequest, catalog: published.Published, filters: ModelFilters) -> HttpResponse:
    """A page of what the caller may see: enabled models, and with scope `admin` the others too."""
    refuse_unknown_parameters(request, type(filters))
    query = listing.Query(
        provider=filters.provider, category=filters.category, media_type=filters.media_type, kind=filters.kind,
        capability=filters.capability, status=filters.status, q=filters.q, enabled=filters.enabled,
        max_price=filters.max_price, sort=filters.sort, offered_only=not _identity(request).is_admin,
    )  # fmt: skip
    try:
        return _cached(
            request, catalog,
            lambda: listing.page(catalog, query, limit=filters.limit, cursor=filters.cursor),
            is_kept=listing.is_kept(query),
        )  # fmt: skip
    except listing.BadCursorError as error:
        raise ApiError("invalid_request", str(error), "Start again without a cursor.") from error


def find_model(model_id: str, identity: Identity, *, offered_only: bool) -> published.Entry:
    """The model of an id as the caller may see it: one that its lists bar looks unknown. Raises ApiError."""
    try:
        return published.find(model_id, offered_only=offered_only, within=narrowing.seen_by(identity.key))
    except published.ModelNotFoundError as error:
        nearest = f"Did you mean {' or '.join(error.nearest)}?" if error.nearest else "List them at /api/v1/models."
        raise ApiError("model_not_found", str(error), nearest, details={"nearest": error.nearest}) from error
    except published.ModelAmbiguousError as error:
        raise _ambiguous(error) from error


def _ambiguous(error: published.ModelAmbiguousError) -> ApiError:
    hint = f"Name the provider: {' or '.join(error.candidates)}."
    return ApiError("model_ambiguous", str(error), hint, details={"candidates": error.candidates})


def _detail(request: HttpRequest, entry: published.Entry) -> HttpResponse:
    # A model that may be seen looks the same under all lists.
    key = _identity(request).key
    catalog = published.for_client(key.live_id if key else None)

    def render() -> bytes:
        row = AIModel.objects.select_related("provider").get(pk=entry.pk)
        version = SchemaVersion.objects.filter(model=row, number=row.schema_version).first()
        content: dict[str, Any] = version.unpacked if version else {}
        schemas = {"limits": row.limits} | without_fixed(content, row.fixed_input)
        own = catalog.own_prices.get(row.pk)
        return orjson.dumps(published.render_model(row) | schemas | ({"price": own.price} if own else {}))

    return _cached(request, catalog, lambda: catalog.rendered(("detail", entry.pk), render))


def _cached(request: HttpRequest, catalog: published.Published, render: Any, *, is_kept: bool = True) -> HttpResponse:
    """An answer that follows from revision and margin scope alone: 304 where the caller has it already.

    With `is_kept` it says of which revision it is, so that genfeed.remembered may give it again.
    """
    scope = "a" if _identity(request).is_admin else "c"
    etag = f'"{catalog.revision}-{scope}{f"-{catalog.scope}" if catalog.scope else ""}"'
    known = request.headers.get("If-None-Match", "")
    unchanged = etag in (candidate.strip().removeprefix("W/") for candidate in known.split(",")) or known == "*"
    response = HttpResponse(status=304) if unchanged else HttpResponse(render(), content_type="application/json")
    if is_kept:
        response.revision = catalog.revision  # type: ignore[attr-defined]
    response.headers["ETag"] = etag
    # The same address answers every key differently; and a cache must ask, which a 304 makes cheap.
    response.headers["Cache-Control"] = "private, no-cache"
    response.headers["Vary"] = "Authorization, X-API-Key, Cookie"
    return mark_age(response)


def _switch(identity: Identity, keys: list[int], *, on: bool, reason: str) -> HttpResponse:
    models = AIModel.objects.filter(pk__in=keys)
    result: SwitchResult = switch_models(models, on=on, actor=identity.actor, reason=reason)
    published.forget()
    return _json({"changed": result.changed, "unchanged": result.unchanged, "held": result.held})


def _render_run(run: SyncRun) -> dict[str, Any]:
    moments = {name: getattr(run, name) for name in ("requested_at", "started_at", "finished_at")}
    return (
        {name: getattr(run, name) for name in _RUN_FIELDS}
        | {name: published.rfc3339(at) if at else None for name, at in moments.items()}
        | {"provider": run.provider.slug}
    )


def _json(body: Any, status: int = 200) -> HttpResponse:
    return HttpResponse(orjson.dumps(body), content_type="application/json", status=status)
