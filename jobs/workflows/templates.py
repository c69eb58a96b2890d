"""Templates of a client: saved under a name, changed by new versions, and never changed under what runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from catalog import published
from genfeed.clients.errors import ApiError
from genfeed.clients.keys import Caller
from jobs.accepting.null_characters import refuse_null_characters
from jobs.accepting.secret_inputs import secret_names
from jobs.ids import new_id
from jobs.workflows.models import WorkflowTemplate, WorkflowTemplateVersion
from jobs.workflows.parameters import as_shown, check_declared
from pricing.estimates.facts import facts_of
from pricing.workflows.estimate import check_shape
from pricing.workflows.order import Step

MOST_TEMPLATES = 1000
# Of a template, and of the values that a workflow is made with: lists show a hundred of them.
MOST_BYTES = 1_048_576
_HINT = "List your templates at /api/v1/workflow-templates."


@dataclass(frozen=True, slots=True)
class Content:
    """What a version of a template says. `steps` as they were sent, `parameters` by name."""

    name: str
    description: str
    parameters: Mapping[str, Mapping[str, Any]]
    steps: Sequence[Mapping[str, Any]]

    def says_as(self, version: WorkflowTemplateVersion) -> bool:
        """Whether a version says the same."""
        return (version.description, version.parameters, version.steps) == (
            self.description,
            dict(self.parameters),
            list(self.steps),
        )


def check_content(content: Content) -> None:
    """Raises ApiError for steps that could not run whatever the parameters are. Models and inputs are checked when a
    workflow is made of it: they depend on the parameters, and on the catalog of then."""
    refuse_null_characters(
        {"steps": content.steps, "parameters": content.parameters, "description": content.description}
    )
    refuse_too_large("The template", [content.steps, content.parameters])
    check_declared(content.parameters, content.steps)
    _refuse_secrets(content)
    check_shape(
        [
            Step(step["name"], step["model"], step.get("input", {}), depends_on=tuple(step.get("depends_on", ())))
            for step in content.steps
        ]
    )


def refuse_too_large(what: str, value: Any) -> None:
    """Raises ApiError for JSON of more than MOST_BYTES; `what` begins the sentence that says so."""
    size = len(orjson.dumps(value))
    if size > MOST_BYTES:
        raise ApiError(
            "payload_too_large",
            f"{what} would take {size:,} bytes, and {MOST_BYTES:,} are the most.",
            "Upload files at /api/v1/uploads and name them by their ids, or send less.",
        )


def _refuse_secrets(content: Content) -> None:
    """A template is kept and shown as it was sent, so no secret may stand in it."""
    catalog = published.current()
    for step in content.steps:
        try:
            entry = published.find(step["model"], offered_only=False, within=catalog)
        except (published.ModelNotFoundError, published.ModelAmbiguousError):
            continue
        input = as_shown(step, content.parameters).get("input", {})
        for name in secret_names(input if isinstance(input, dict) else {}, facts_of(entry.pk).inputs):
            raise ApiError(
                "invalid_request",
                f"steps.{step['name']}.input.{name} is a secret, and a template is shown to all who may read it.",
                f'Make it a parameter without a default: {{"{name}": {{"$param": "{name}"}}}}; its value comes with '
                "each workflow.",
            )


def save_template(
    content: Content, client_id: int, *, beside: Callable[[WorkflowTemplate], None] | None = None
) -> WorkflowTemplate:
    """Saves a new template. Raises ApiError `conflict` where the client has one of that name."""
    check_content(content)
    if WorkflowTemplate.objects.filter(client_id=client_id, deleted_at=None).count() >= MOST_TEMPLATES:
        raise ApiError("conflict", f"You have {MOST_TEMPLATES} templates.", "Delete some that you do not use.")
    template = WorkflowTemplate(id=new_id("wft"), client_id=client_id, name=content.name)
    with transaction.atomic(durable=True):
        try:
            with transaction.atomic():
                template.save(force_insert=True)
        except IntegrityError:
            raise ApiError(
                "conflict",
                f"You have a template called {content.name!r}.",
                "PUT to its address to save a new version of it, or choose another name.",
            ) from None
        _add_version(template, content)
        if beside:
            beside(template)
    return template


def change_template(template: WorkflowTemplate, content: Content) -> WorkflowTemplate:
    """Saves a new version, where it says something else than the newest. Raises ApiError `conflict` where another
    change was faster, or the name is taken."""
    check_content(content)
    newest = version_of(template, None)
    if content.name == template.name and content.says_as(newest):
        return template
    now = timezone.now()
    try:
        with transaction.atomic(durable=True):
            same = WorkflowTemplate.objects.filter(pk=template.pk, version=template.version, deleted_at=None)
            if not same.update(name=content.name, version=template.version + 1, updated_at=now):
                raise ApiError("conflict", "The template changed meanwhile.", "Get it, and send your change again.")
            template.refresh_from_db()
            _add_version(template, content)
    except IntegrityError:
        raise ApiError(
            "conflict", f"You have another template called {content.name!r}.", "Choose another name."
        ) from None
    return template


def delete_template(template: WorkflowTemplate) -> None:
    """Takes a template out of use; what runs by it runs on, and shows what it ran."""
    WorkflowTemplate.objects.filter(pk=template.pk, deleted_at=None).update(deleted_at=timezone.now())


def templates_of(caller: Caller) -> QuerySet[WorkflowTemplate]:
    """What a caller may read and run: the templates of its mode, and with a test key the live ones too."""
    return WorkflowTemplate.objects.filter(client_id__in={caller.client_id, caller.live_id}, deleted_at=None)


def find_template(address: str, caller: Caller) -> WorkflowTemplate:
    """A template by its id, or by its name, one of the caller's own mode first. Raises ApiError `not_found`."""
    wanted = address.replace("\x00", "")[:64]
    found = templates_of(caller).filter(Q(pk=wanted[:40]) | Q(name=wanted))
    # An id before a name; there are four at most.
    template = min(found, key=lambda one: (one.pk != wanted, one.client_id != caller.client_id), default=None)
    if template is None:
        raise ApiError("not_found", f"There is no workflow template {address[:64]!r}.", _HINT)
    return template


def find_own_template(address: str, caller: Caller) -> WorkflowTemplate:
    """A template that the caller may change. Raises ApiError: not found, or a live one for a test key."""
    template = find_template(address, caller)
    if template.client_id != caller.client_id:
        raise ApiError(
            "forbidden_scope",
            f"The template {template.name!r} is a live one, and this is a test key.",
            "Use a live key; or save one of that name with the test key, which test mode then runs in its place.",
        )
    return template


def version_of(template: WorkflowTemplate, number: int | None) -> WorkflowTemplateVersion:
    """One version of a template, the newest for None. Raises ApiError `not_found`."""
    found = template.versions.filter(number=template.version if number is None else number).first()
    if found is None:
        raise ApiError(
            "not_found",
            f"The template {template.name!r} has no version {number}.",
            f"Its versions are 1 to {template.version}.",
        )
    return found


def _add_version(template: WorkflowTemplate, content: Content) -> None:
    WorkflowTemplateVersion.objects.create(
        template=template,
        number=template.version,
        description=content.description,
        parameters=dict(content.parameters),
        steps=list(content.steps),
    )
