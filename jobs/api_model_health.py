"""The health of a model over HTTP, for the scope `admin`."""

from datetime import datetime
from typing import Any, Literal

import orjson
from django.http import HttpRequest, HttpResponse
from ninja import Router, Schema
from pydantic import Field

from catalog.api import ModelId, find_model
from catalog.api_shapes import ErrorShape
from catalog.models import AIModel
from genfeed.clients.auth import RequireScope
from genfeed.journal.times import rfc3339
from jobs.model_health import Health, health_of
from pricing.reports.figures import percent
from pricing.usage.recent import Recent

model_health_router = Router(auth=RequireScope("admin"), tags=["Administration"])


class RecentShape(Schema):
    succeeded: int
    failed: int
    canceled: int
    success_percent: str | None = Field(description="Of those that succeeded or failed; null: there was none.")
    mean_seconds: float | None = Field(description="From submission to result, of those that succeeded.")


class SchemaHealth(Schema):
    state: str = Field(description="understood, flagged, missing or not_understood: of the newest document.")
    version: int = Field(description="The version in force; 0: none.")
    checked_at: datetime | None
    problem: str


class GateHealth(Schema):
    state: Literal["closed", "failing", "open", "trying"] = Field(description="open: no job is sent now.")
    reason: str
    opens_in: int | None = Field(description="Seconds until one job is tried.")


class ModelHealthShape(Schema):
    model: str
    provider: str
    healthy: bool = Field(description="It is offered, and nothing is known that keeps its jobs from succeeding.")
    problems: list[str] = Field(description="What is wrong, in words.")
    status: str
    enabled: bool
    held_reason: str
    provider_online: bool
    schema_: SchemaHealth = Field(alias="schema")
    price_state: str = Field(description="advertised, ruled, observed, manual or unknown.")
    gate: GateHealth | None = Field(description="The circuit breaker of its provider; null: nothing can be run there.")
    last_hour: RecentShape
    last_day: RecentShape


@model_health_router.get(
    "/models/{path:model_id}/health",
    response={200: ModelHealthShape, **dict.fromkeys((400, 401, 403, 404, 409), ErrorShape)},
    summary="See how a model is",
    operation_id="admin_model_health",
    by_alias=True,
)
def get_model_health(request: HttpRequest, model_id: ModelId) -> HttpResponse:
    """Whether a model is offered, understood and priced, whether its provider takes jobs, and how its own have gone."""
    identity = request.auth  # type: ignore[attr-defined]
    identity.require("catalog.view_aimodel")
    entry = find_model(model_id, identity, offered_only=False)
    row = AIModel.objects.select_related("provider").get(pk=entry.pk)
    return HttpResponse(orjson.dumps(_render(health_of(row))), content_type="application/json")


def _render(found: Health) -> dict[str, Any]:
    row, gate = found.model, found.gate
    return {
        "model": row.endpoint_id,
        "provider": row.provider.slug,
        "healthy": not found.problems,
        "problems": list(found.problems),
        "status": row.status,
        "enabled": row.enabled,
        "held_reason": row.held_reason,
        "provider_online": found.is_online,
        "schema": {
            "state": row.schema_state,
            "version": row.schema_version,
            "checked_at": rfc3339(row.schema_checked_at) if row.schema_checked_at else None,
            "problem": row.schema_problem,
        },
        "price_state": row.price["state"],
        "gate": None if gate is None else {"state": gate.state, "reason": gate.reason, "opens_in": gate.opens_in},
        **{name: _window(one) for name, one in found.recent.items()},
    }


def _window(one: Recent) -> dict[str, Any]:
    return {
        "succeeded": one.succeeded,
        "failed": one.failed,
        "canceled": one.canceled,
        "success_percent": percent(one.success_rate, 2) or None,
        "mean_seconds": None if one.seconds is None else round(one.seconds, 3),
    }
