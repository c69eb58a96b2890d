"""Profitability and recommendations over HTTP, for the scope `admin`: the same figures as on the pages."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Literal

import orjson
from django.http import HttpRequest, HttpResponse
from ninja import Query, Router, Schema
from pydantic import Field

from catalog.api import find_model
from genfeed.clients.auth import Identity, RequireScope
from genfeed.clients.errors import ApiError
from genfeed.clients.parameters import refuse_unknown_parameters
from genfeed.journal.times import rfc3339
from pricing.api_money_shapes import ERRORS
from pricing.models import Recommendation
from pricing.money import format_usd
from pricing.reports.answers import groups_of, total_of
from pricing.reports.figures import Figures, percent
from pricing.reports.questions import MOST_DAYS, Question, today
from pricing.reports.rollups import rolled_until
from pricing.usage.days import BadDayError, read_day

reports_router = Router(auth=RequireScope("admin"), tags=["Administration"])
_DEFAULT_DAYS = 30


class StatsFilters(Schema):
    from_: str | None = Field(None, alias="from", max_length=10, description="First day (UTC); default: 30 days.")
    to: str | None = Field(None, max_length=10, description="Last day (UTC), included; default: today.")
    group_by: Literal["model", "client", "category", "provider", "day"] = Field(
        "model", description="Of a period of more than 92 days, `day` gives months."
    )
    provider: str | None = Field(None, max_length=50)
    category: str | None = Field(None, max_length=80)
    model: str | None = Field(None, max_length=255, description="A model id, or provider:id.")
    limit: int = Field(100, ge=1, le=2000, description="The lines with the highest revenue; days come all.")


class FiguresShape(Schema):
    jobs: int
    succeeded: int
    failed: int
    canceled: int
    cache_hits: int
    success_percent: str | None
    revenue: str = Field(description="USD, with corrections, after refunds.")
    cost: str
    margin: str
    margin_percent: str | None
    refunds: str
    write_offs: str
    loss: str = Field(description="The part of the cost that nobody is charged for.")
    mean_seconds: float | None
    p50_seconds: float | None
    p95_seconds: float | None
    estimate_deviation_percent: str | None


class StatsLine(FiguresShape):
    name: str


class StatsShape(Schema):
    from_: str = Field(alias="from")
    to: str
    currency: str
    group_by: str
    complete_until: str | None
    total: FiguresShape
    before: FiguresShape = Field(description="The same number of days just before.")
    items: list[StatsLine]


class RecommendationFilters(Schema):
    state: Literal["open", "applied", "dismissed", "undone", "gone"] = "open"
    limit: int = Field(100, ge=1, le=1000)


class RecommendationShape(Schema):
    id: int
    kind: str
    state: str
    title: str
    why: str
    effect: str
    effect_amount: str = Field(description="USD of margin in 30 days.")
    model: str | None
    client: str | None
    blocked: str | None
    created_at: str
    computed_at: str
    decided_at: str | None
    decided_by: str | None
    by_policy: bool


class RecommendationList(Schema):
    items: list[RecommendationShape]
    count: int


@reports_router.get(
    "/stats",
    response={200: StatsShape, **ERRORS},
    summary="Get profitability",
    operation_id="admin_stats",
    by_alias=True,
)
def get_stats(request: HttpRequest, filters: Query[StatsFilters]) -> HttpResponse:
    """Revenue, cost, margin, success and latency of a period, in all and by group, and of the period before."""
    refuse_unknown_parameters(request, StatsFilters)
    request.auth.require("pricing.view_usagerecord")  # type: ignore[attr-defined]
    asked = _question(filters, request.auth)  # type: ignore[attr-defined]
    groups = groups_of(asked, filters.group_by)
    total, before = total_of(asked), total_of(asked.before)
    until = rolled_until()
    if filters.group_by != "day":
        groups = sorted(groups, key=lambda one: (-one.figures.revenue, one.name))[: filters.limit]
    return _json(
        {
            "from": asked.first.isoformat(),
            "to": asked.last.isoformat(),
            "currency": "USD",
            "group_by": filters.group_by,
            "complete_until": rfc3339(until) if until else None,
            "total": _figures(total),
            "before": _figures(before),
            "items": [{"name": one.name, **_figures(one.figures)} for one in groups],
        }
    )


@reports_router.get(
    "/recommendations",
    response={200: RecommendationList, **ERRORS},
    summary="List recommendations",
    operation_id="admin_recommendations",
)
def list_recommendations(request: HttpRequest, filters: Query[RecommendationFilters]) -> HttpResponse:
    """What the figures recommend, the most effective first, each with its reason; staff decide in the admin."""
    refuse_unknown_parameters(request, RecommendationFilters)
    request.auth.require("pricing.view_recommendation")  # type: ignore[attr-defined]
    rows = Recommendation.objects.filter(state=filters.state).select_related("model", "client")
    items = [_recommendation(one) for one in rows[: filters.limit]]
    return _json({"items": items, "count": rows.count()})


def _question(filters: StatsFilters, identity: Identity) -> Question:
    try:
        last = read_day(filters.to) if filters.to else today()
        first = read_day(filters.from_) if filters.from_ else last - timedelta(days=_DEFAULT_DAYS - 1)
    except BadDayError as error:
        raise _bad("from, to", str(error)) from None
    if first > last or (last - first).days >= MOST_DAYS:
        raise _bad("from, to", f"{first} to {last} is no period of 1 to {MOST_DAYS} days.")
    if any("\x00" in (text or "") for text in (filters.provider, filters.category)):
        raise _bad("provider, category", "There are no such characters in a name.")
    model = find_model(filters.model, identity, offered_only=False).pk if filters.model else None
    return Question(first, last, provider=filters.provider or "", category=filters.category or "", model_id=model)


def _figures(one: Figures) -> dict[str, Any]:
    return {
        "jobs": one.jobs,
        "succeeded": one.succeeded,
        "failed": one.failed,
        "canceled": one.canceled,
        "cache_hits": one.cached,
        "success_percent": percent(one.success_rate, 2) or None,
        **{name: one.usd(name) for name in ("revenue", "cost", "margin", "refunds", "write_offs", "loss")},
        "margin_percent": percent(one.margin_rate, 2) or None,
        "mean_seconds": _short(one.seconds),
        "p50_seconds": _short(one.p50),
        "p95_seconds": _short(one.p95),
        "estimate_deviation_percent": percent(one.deviation, 2) or None,
    }


def _short(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)


def _recommendation(one: Recommendation) -> dict[str, Any]:
    return {
        "id": one.pk,
        "kind": one.kind,
        "state": one.state,
        "title": one.title,
        "why": one.why,
        "effect": one.effect,
        "effect_amount": format_usd(one.effect_amount),
        "model": one.model.endpoint_id if one.model else None,
        "client": one.client.name if one.client else None,
        "blocked": one.blocked or None,
        "created_at": rfc3339(one.created_at),
        "computed_at": rfc3339(one.computed_at),
        "decided_at": rfc3339(one.decided_at) if one.decided_at else None,
        "decided_by": one.decided_by or None,
        "by_policy": one.by_policy,
    }


def _bad(field: str, message: str) -> ApiError:
    return ApiError("invalid_request", message, f"Mend {field}.")


def _json(body: Any) -> HttpResponse:
    return HttpResponse(orjson.dumps(body), content_type="application/json")
