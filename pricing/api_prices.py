"""Prices over HTTP: how the selling price of a model came about."""

import base64
import binascii
from datetime import UTC, datetime
from typing import Any, Literal

import orjson
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from ninja import Query, Router, Schema
from pydantic import Field

from catalog.api import ModelId, find_model
from catalog.api_shapes import ErrorShape, PriceShape
from catalog.models import AIModel
from catalog.published import rfc3339
from genfeed.clients.auth import Identity, RequireScope
from genfeed.clients.errors import ApiError
from genfeed.clients.parameters import refuse_unknown_parameters
from pricing.money import format_usd
from pricing.selling.history import Period, periods_of

prices_router = Router(auth=RequireScope("models:read"), tags=["Models"])

_ERRORS = {400: ErrorShape, 401: ErrorShape, 403: ErrorShape, 404: ErrorShape, 409: ErrorShape}


class PricePeriodShape(Schema):
    effective_from: datetime
    effective_to: datetime | None = Field(description="null: still in force.")
    price: PriceShape
    unit_price: str | None = Field(
        None, description="What one unit cost us, in USD; only for the scope admin and in core mode."
    )
    cost: str | None = Field(
        None, description="What a default request cost us, in USD; only for the scope admin and in core mode."
    )


class PriceHistory(Schema):
    model: str
    provider: str
    currency: Literal["USD"]
    items: list[PricePeriodShape]
    next_cursor: str | None


class HistoryPage(Schema):
    limit: int = Field(50, ge=1, le=200)
    cursor: str | None = Field(None, max_length=200, description="next_cursor of the page before.")


@prices_router.get(
    "/models/{path:model_id}/price-history", response={200: PriceHistory, **_ERRORS},
    summary="Get the price history of a model", operation_id="get_price_history",
)  # fmt: skip
def get_price_history(request: HttpRequest, model_id: ModelId, page: Query[HistoryPage]) -> HttpResponse:
    """What one unit of a model has cost you over time, newest first."""
    refuse_unknown_parameters(request, HistoryPage)
    identity: Identity = request.auth  # type: ignore[attr-defined]
    entry = find_model(model_id, identity, offered_only=not identity.is_admin)
    row = AIModel.objects.get(pk=entry.pk)
    periods = periods_of(row, identity.key.live_id if identity.key else None)
    before = _decode(page.cursor) if page.cursor is not None else None
    older = [period for period in periods if before is None or _microseconds(period.starts_at) < before]
    shown = older[: page.limit]
    with_costs = identity.is_admin or settings.GENFEED_MODE == "core"
    body = {
        "model": entry.id,
        "provider": entry.provider,
        "currency": "USD",
        "items": [_render(period, with_costs=with_costs) for period in shown],
        "next_cursor": _encode(shown[-1]) if len(older) > len(shown) else None,
    }
    response = HttpResponse(orjson.dumps(body), content_type="application/json")
    response.headers["Cache-Control"] = "private, no-cache"
    return response


def _render(period: Period, *, with_costs: bool) -> dict[str, Any]:
    shown = {
        "effective_from": rfc3339(period.starts_at),
        "effective_to": rfc3339(period.ends_at) if period.ends_at else None,
        "price": period.price,
    }
    if not with_costs:
        return shown
    cost = None if period.default_cost is None else format_usd(period.default_cost)
    return shown | {"unit_price": period.unit_cost or None, "cost": cost}


def _microseconds(moment: datetime) -> int:
    return int(moment.astimezone(UTC).timestamp()) * 1_000_000 + moment.microsecond


def _encode(period: Period) -> str:
    return base64.urlsafe_b64encode(str(_microseconds(period.starts_at)).encode()).decode().rstrip("=")


def _decode(cursor: str) -> int:
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode("ascii")
        if text.isdecimal():
            return int(text[:20])
    except (binascii.Error, ValueError):
        pass
    raise ApiError("invalid_request", "The cursor is not one that this list gave out.", "Start again without a cursor.")
