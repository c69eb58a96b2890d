"""What a client asks for in a workflow or a template, read from the fields of a request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from genfeed.clients.errors import ApiError
from genfeed.clients.keys import Caller
from genfeed.clients.shape_errors import shape_error
from jobs.accepting.asking import read_cache, read_metadata, read_price
from jobs.accepting.webhook_urls import check_webhook_url
from jobs.workflows.accepting import WantedWorkflow
from jobs.workflows.api_shapes import TemplateBody, WorkflowRunBody, WorkflowRunStepBody
from jobs.workflows.parameters import filled, refuse_parameters
from jobs.workflows.plans import WantedStep
from jobs.workflows.templates import Content, find_template, version_of
from pricing.workflows.order import Step


def read_workflow(body: WorkflowRunBody, caller: Caller) -> WantedWorkflow:
    """The workflow that a body asks for, its template filled in. Raises ApiError."""
    if (body.steps is None) == (body.template is None):
        raise ApiError(
            "invalid_request",
            "A workflow has either steps or a template.",
            'Send "steps": [ … ], or "template": "name" with its "params".',
        )
    template: tuple[str, int] | None = None
    params: Mapping[str, Any] = {}
    if body.steps is not None:
        if body.params or body.version is not None:
            raise ApiError("invalid_request", "params and version belong to a template.", "Name the template.")
        refuse_parameters(_as_sent(body.steps))
        steps = body.steps
    else:
        found = find_template(body.template or "", caller)
        version = version_of(found, body.version)
        made, params = filled(version.steps, version.parameters, body.params)
        template, steps = (found.pk, version.number), _steps_of(made)
    return WantedWorkflow(
        steps=[_wanted(step, read_metadata(body.metadata)) for step in steps],
        max_price=read_price(body.max_price, what="max_price"),
        low_priority=body.priority == "low",
        webhook_url=check_webhook_url(body.webhook_url) if body.webhook_url else "",
        metadata=read_metadata(body.metadata),
        template=template,
        params=params,
    )


def read_template(body: TemplateBody) -> Content:
    """The template that a body asks for. Raises ApiError for an amount that is none."""
    for step in body.steps:
        _wanted(step, {})
    parameters = {
        name: {
            **one.model_dump(exclude_none=True),
            "required": one.default is None if one.required is None else one.required,
        }
        for name, one in body.parameters.items()
    }
    return Content(body.name, body.description, parameters, _as_sent(body.steps))


def _as_sent(steps: Sequence[WorkflowRunStepBody]) -> list[dict[str, Any]]:
    return [step.model_dump(exclude_unset=True) for step in steps]


def _steps_of(stored: Sequence[Mapping[str, Any]]) -> list[WorkflowRunStepBody]:
    try:
        return [WorkflowRunStepBody.model_validate(step) for step in stored]
    except ValidationError as error:
        raise shape_error(error.errors(include_url=False)) from None


def _wanted(step: WorkflowRunStepBody, notes: Mapping[str, Any]) -> WantedStep:
    return WantedStep(
        Step(
            name=step.name,
            model=step.model,
            input=step.input,
            quantity=step.quantity,
            depends_on=tuple(step.depends_on),
            fan_out=step.fan_out,
            media=step.media,
        ),
        max_price=read_price(step.max_price, what=f"steps.{step.name}.max_price"),
        on_error=step.on_error,
        cache=read_cache(step.cache),
        fallback=step.fallback,
        metadata={**notes, **read_metadata(step.metadata)},
    )
