"""Prices over HTTP: what requests and workflows cost, and which model fits."""

from typing import Any

import orjson
from django.http import HttpRequest, HttpResponse
from ninja import Router
from pydantic import ValidationError

from genfeed.clients.auth import RequireScope
from genfeed.clients.errors import ApiError
from genfeed.clients.shape_errors import shape_error
from pricing import api_shapes as shapes
from pricing.choosing.reading_needs import read_needs
from pricing.choosing.selection import select
from pricing.estimates.asking import Asked, Asking, estimate, estimate_many
from pricing.workflows.estimate import estimate_workflow
from pricing.workflows.order import Step

estimates_router = Router(auth=RequireScope("estimates"), tags=["Prices"])

_ERRORS = dict.fromkeys((400, 401, 403, 404, 409, 410, 413, 422), shapes.ErrorShape)


@estimates_router.post(
    "/estimates",
    response={200: shapes.EstimateShape | shapes.EstimateList, **_ERRORS},
    summary="Estimate requests",
    operation_id="create_estimate",
)
def create_estimate(request: HttpRequest, body: shapes.EstimateBody) -> HttpResponse:
    """What a request would cost, without running it. With `items`, each one carries its estimate or its error."""
    asking = _asking(request)
    if body.items is not None:
        if body.model is not None or body.input is not None or body.media is not None or body.probe:
            raise ApiError(
                "invalid_request", "Both items and a single question were sent.", "Send model and input, or items."
            )
        return _json({"items": estimate_many([_read_item(item) for item in body.items], asking)})
    if body.model is None:
        raise ApiError("invalid_request", "model: the request names no model.", "Send model and input, or items.")
    return _json(estimate(Asked(body.model, body.input or {}, body.media, body.probe), asking))


@estimates_router.post(
    "/workflows/estimate",
    response={200: shapes.WorkflowShape, **_ERRORS},
    summary="Estimate a workflow",
    operation_id="estimate_workflow",
)
def estimate_a_workflow(request: HttpRequest, body: shapes.WorkflowBody) -> HttpResponse:
    """What a workflow of up to 200 steps would cost: each step, all together, and the cheapest alternative per step."""
    steps = [
        Step(
            name=step.name,
            model=step.model,
            input=step.input,
            quantity=step.quantity,
            depends_on=tuple(step.depends_on),
            fan_out=step.fan_out,
            media=step.media,
        )
        for step in body.steps
    ]
    return _json(estimate_workflow(steps, _asking(request)))


@estimates_router.post(
    "/models/select",
    response={200: shapes.SelectShape, **_ERRORS},
    summary="Choose a model",
    operation_id="select_model",
)
def select_model(request: HttpRequest, body: shapes.SelectBody) -> HttpResponse:
    """The models that meet requirements, ranked, each with the reason, and the nearest ones that do not."""
    asking = _asking(request)
    return _json(select(read_needs(body, asking.catalog), asking, limit=body.limit))


def _asking(request: HttpRequest) -> Asking:
    return Asking.of(request.auth)  # type: ignore[attr-defined]


def _read_item(item: Any) -> Asked | ApiError:
    try:
        read = shapes.EstimateItem.model_validate(item)
    except ValidationError as error:
        return shape_error(error.errors(include_url=False))
    return Asked(read.model, read.input, read.media, read.probe)


def _json(body: Any) -> HttpResponse:
    return HttpResponse(orjson.dumps(body), content_type="application/json")
