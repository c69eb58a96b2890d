"""Templates of workflows over HTTP: saved, changed, read, listed, deleted."""

from typing import Any

import orjson
from django.http import HttpRequest, HttpResponse
from ninja import Query, Router

from catalog.api_shapes import ErrorShape
from genfeed.clients.auth import RequireScope
from genfeed.clients.parameters import refuse_unknown_parameters
from jobs.accepting.idempotency import Keep, once
from jobs.own_rows import caller_of, json_answer, page_of
from jobs.rendering import moment
from jobs.workflows import api_shapes as shapes
from jobs.workflows.asking import read_template
from jobs.workflows.models import WorkflowTemplate, WorkflowTemplateVersion
from jobs.workflows.templates import (
    change_template,
    delete_template,
    find_own_template,
    find_template,
    save_template,
    templates_of,
    version_of,
)

templates_router = Router(tags=["Workflows"])

_WRITE_ERRORS = dict.fromkeys((400, 401, 403, 404, 409, 413, 422, 429), ErrorShape)
_READ_ERRORS = dict.fromkeys((400, 401, 403, 404, 429), ErrorShape)


@templates_router.post(
    "/workflow-templates",
    auth=RequireScope("jobs:write"),
    response={201: shapes.TemplateShape, **_WRITE_ERRORS},
    summary="Save a workflow template",
    operation_id="create_workflow_template",
)
def create_template(request: HttpRequest, body: shapes.TemplateBody) -> HttpResponse:
    """Saves steps with parameters under a name, to be run by `template` and `params`. Its models and inputs are checked
    when it is run."""
    client_id = caller_of(request).client_id
    content = read_template(body)

    def work(keep: Keep) -> HttpResponse:
        rendered: list[bytes] = []

        def beside(template: WorkflowTemplate) -> None:
            rendered.append(orjson.dumps(_rendered(template, version_of(template, None))))
            keep(201, rendered[0])

        save_template(content, client_id, beside=beside)
        return HttpResponse(rendered[0], content_type="application/json", status=201)

    return once(request, client_id, work)


@templates_router.get(
    "/workflow-templates",
    auth=RequireScope("jobs:read"),
    response={200: shapes.TemplatePage, **_READ_ERRORS},
    summary="List workflow templates",
    operation_id="list_workflow_templates",
)
def list_templates(request: HttpRequest, filters: Query[shapes.TemplateFilters]) -> HttpResponse:
    """Your templates in their newest versions, the newest template first."""
    refuse_unknown_parameters(request, shapes.TemplateFilters)
    templates = templates_of(caller_of(request)).select_related("client")
    shown, more = page_of(templates, cursor=filters.cursor, limit=filters.limit)
    versions = WorkflowTemplateVersion.objects.filter(template__in=shown)
    by_number = {(one.template_id, one.number): one for one in versions}
    items = [_rendered(one, by_number[one.pk, one.version]) for one in shown]
    return json_answer({"items": items, "next_cursor": more})


@templates_router.get(
    "/workflow-templates/{template_id}",
    auth=RequireScope("jobs:read"),
    response={200: shapes.TemplateShape, **_READ_ERRORS},
    summary="Get a workflow template",
    operation_id="get_workflow_template",
)
def get_template(request: HttpRequest, template_id: str, asked: Query[shapes.VersionQuestion]) -> HttpResponse:
    """One template by its id or name, in its newest version or the one that is asked for."""
    refuse_unknown_parameters(request, shapes.VersionQuestion)
    template = find_template(template_id, caller_of(request))
    return json_answer(_rendered(template, version_of(template, asked.version)))


@templates_router.put(
    "/workflow-templates/{template_id}",
    auth=RequireScope("jobs:write"),
    response={200: shapes.TemplateShape, **_WRITE_ERRORS},
    summary="Change a workflow template",
    operation_id="change_workflow_template",
)
def put_template(request: HttpRequest, template_id: str, body: shapes.TemplateBody) -> HttpResponse:
    """Saves a new version, where it says something else than the newest. What was started runs on as it was."""
    template = change_template(find_own_template(template_id, caller_of(request)), read_template(body))
    return json_answer(_rendered(template, version_of(template, None)))


@templates_router.delete(
    "/workflow-templates/{template_id}",
    auth=RequireScope("jobs:write"),
    response={204: None, **_READ_ERRORS},
    summary="Delete a workflow template",
    operation_id="delete_workflow_template",
)
def remove_template(request: HttpRequest, template_id: str) -> HttpResponse:
    """Nothing is started by it any more; what was started runs on."""
    delete_template(find_own_template(template_id, caller_of(request)))
    return HttpResponse(status=204)


def _rendered(template: WorkflowTemplate, version: WorkflowTemplateVersion) -> dict[str, Any]:
    return {
        "id": template.pk,
        "livemode": not template.client.is_test,
        "name": template.name,
        "description": version.description,
        "version": version.number,
        "created_at": moment(template.created_at),
        "updated_at": moment(version.created_at),
        "parameters": version.parameters,
        "steps": version.steps,
    }
