"""Workflows over HTTP: made, read, listed, canceled."""

from typing import Any

import orjson
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from ninja import Query, Router

from catalog.api_shapes import ErrorShape
from genfeed.clients.auth import Identity, RequireScope
from genfeed.clients.errors import ApiError
from genfeed.clients.parameters import refuse_unknown_parameters
from jobs.accepting.idempotency import Keep, once
from jobs.accepting.own_keys import HEADER
from jobs.assets.api import base_url_of
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
    caller = _identity(request).require_client()
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
    runs = WorkflowRun.objects.filter(client_id=_identity(request).require_client().client_id)
    runs = runs.select_related("client").order_by("-id")
    if filters.status:
        runs = runs.filter(STATUSES[filters.status])
    if filters.template:
        runs = runs.filter(template_id=filters.template)
    if filters.cursor:
        runs = runs.filter(id__lt=filters.cursor)
    found = list(runs.defer("plan")[: filters.limit + 1])
    shown = found[: filters.limit]
    more = shown[-1].pk if len(found) > filters.limit else None
    return _json({"items": render_workflows(shown, shows_cost=_shows_cost(request)), "next_cursor": more})


@workflows_router.get(
    "/workflows/{workflow_id}",
    auth=RequireScope("jobs:read"),
    response={200: shapes.WorkflowRunShape, **_READ_ERRORS},
    summary="Get a workflow",
    operation_id="get_workflow",
)
def get_workflow(request: HttpRequest, workflow_id: str) -> HttpResponse:
    """One workflow with its steps: where each run stands, what it made, and what it was charged."""
    return _json(_with_steps(request, _find(request, workflow_id)))


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
    return _json(_with_steps(request, run))


def _with_steps(request: HttpRequest, run: WorkflowRun) -> dict[str, Any]:
    shows_cost = _shows_cost(request)
    steps = render_steps(run, shows_cost=shows_cost, base_url=base_url_of(request))
    return {**render_workflow(run, shows_cost=shows_cost), "steps": steps}


def _find(request: HttpRequest, workflow_id: str) -> WorkflowRun:
    """The caller's own workflow; another client's is as unknown as one that does not exist."""
    client_id = _identity(request).require_client().client_id
    own = WorkflowRun.objects.select_related("client").filter(client_id=client_id)
    run = own.filter(pk=workflow_id.replace("\x00", "")[:40]).first()
    if run is None:
        raise ApiError(
            "not_found", f"There is no workflow {workflow_id[:60]!r}.", "List your workflows at /api/v1/workflows."
        )
    return run


def _identity(request: HttpRequest) -> Identity:
    identity: Identity = request.auth  # type: ignore[attr-defined]
    return identity


def _shows_cost(request: HttpRequest) -> bool:
    return _identity(request).is_admin or settings.GENFEED_MODE == "core"


def _json(body: Any) -> HttpResponse:
    return HttpResponse(orjson.dumps(body), content_type="application/json")
