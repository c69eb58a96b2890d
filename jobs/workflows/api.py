"""Workflows over HTTP: made, read, listed, canceled."""

from typing import Any

import orjson
from django.http import HttpRequest, HttpResponse
from ninja import Query, Router

from catalog.api_shapes import ErrorShape
from genfeed.clients.auth import RequireScope
from genfeed.clients.errors import ApiError
from genfeed.clients.parameters import refuse_unknown_parameters
from jobs.accepting.idempotency import Keep, once
from jobs.accepting.own_keys import HEADER
from jobs.assets.api import base_url_of
from jobs.own_rows import caller_of, find_own, json_answer, page_of, shows_cost
from jobs.workflows import api_shapes as shapes
from jobs.workflows.accepting import accept_workflow
from jobs.workflows.advancing import advance
from jobs.workflows.asking import read_workflow
from jobs.workflows.canceling import cancel_workflow
from jobs.workflows.models import STATUSES, WorkflowRun
from jobs.workflows.rendering import render_steps, render_workflow, render_workflows

workflows_router = Router(tags=["Workflows"])

_CREATE_ERRORS = dict.fromkeys((400, 401, 402, 403, 404, 409, 410, 413, 422, 429, 503), ErrorShape)
_READ_ERRORS = dict.fromkeys((400, 401, 403, 404, 429), ErrorShape)


@workflows_router.post(
    "/workflows",
    auth=RequireScope("jobs:write"),
    response={201: shapes.WorkflowRunShape, **_CREATE_ERRORS},
    summary="Run a workflow",
    operation_id="create_workflow",
)
def create_workflow(request: HttpRequest, body: shapes.WorkflowRunBody) -> HttpResponse:
    """Accepts up to 200 steps whose inputs may name what earlier steps make, checks and quotes all of them, and answers
    at once; the steps run in the background, in parallel where they can, each as a job with a hold of its own.

    Any answer but 201 means that nothing was accepted, nothing runs and nothing is charged.
    """
    caller = caller_of(request)
    if request.headers.get(HEADER, "").strip():
        raise ApiError(
            "invalid_request",
            f"{HEADER} is for single requests: a workflow runs on after its request.",
            "Keep your key here with PUT /api/v1/provider-keys/{provider}, and send the workflow without it.",
        )
    wanted = read_workflow(body, caller)

    def work(keep: Keep) -> HttpResponse:
        rendered: list[bytes] = []

        def beside(run: WorkflowRun) -> None:
            rendered.append(orjson.dumps(_with_steps(request, run)))
            keep(201, rendered[0])

        accept_workflow(wanted, caller, beside=beside)
        return HttpResponse(rendered[0], content_type="application/json", status=201)

    return once(request, caller.client_id, work)


@workflows_router.get(
    "/workflows",
    auth=RequireScope("jobs:read"),
    response={200: shapes.WorkflowPage, **_READ_ERRORS},
    summary="List workflows",
    operation_id="list_workflows",
)
def list_workflows(request: HttpRequest, filters: Query[shapes.WorkflowFilters]) -> HttpResponse:
    """Your workflows without their steps, newest first."""
    refuse_unknown_parameters(request, shapes.WorkflowFilters)
    runs = WorkflowRun.objects.filter(client_id=caller_of(request).client_id)
    runs = runs.select_related("client").defer("plan")
    if filters.status:
        runs = runs.filter(STATUSES[filters.status])
    if filters.template:
        runs = runs.filter(template_id=filters.template)
    shown, more = page_of(runs, cursor=filters.cursor, limit=filters.limit)
    return json_answer({"items": render_workflows(shown, shows_cost=shows_cost(request)), "next_cursor": more})


@workflows_router.get(
    "/workflows/{workflow_id}",
    auth=RequireScope("jobs:read"),
    response={200: shapes.WorkflowRunShape, **_READ_ERRORS},
    summary="Get a workflow",
    operation_id="get_workflow",
)
def get_workflow(request: HttpRequest, workflow_id: str) -> HttpResponse:
    """One workflow with its steps: where each run stands, what it made, and what it was charged."""
    return json_answer(_with_steps(request, _find(request, workflow_id)))


@workflows_router.post(
    "/workflows/{workflow_id}/cancel",
    auth=RequireScope("jobs:write"),
    response={200: shapes.WorkflowRunShape, 409: ErrorShape, **_READ_ERRORS},
    summary="Cancel a workflow",
    operation_id="cancel_workflow",
)
def cancel(request: HttpRequest, workflow_id: str) -> HttpResponse:
    """Starts nothing of it any more, and cancels its jobs as jobs are canceled: what is delivered is charged."""
    run = cancel_workflow(_find(request, workflow_id))
    advance(run.pk)
    run.refresh_from_db()
    return json_answer(_with_steps(request, run))


def _with_steps(request: HttpRequest, run: WorkflowRun) -> dict[str, Any]:
    costs = shows_cost(request)
    steps = render_steps(run, shows_cost=costs, base_url=base_url_of(request))
    return {**render_workflow(run, shows_cost=costs), "steps": steps}


def _find(request: HttpRequest, workflow_id: str) -> WorkflowRun:
    return find_own(
        WorkflowRun.objects.select_related("client"), workflow_id, request, word="workflow", listed_at="workflows"
    )
