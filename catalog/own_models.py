"""Models that a person adds by hand: private endpoints, and another model with inputs that are fixed (LoRA weights).

No sync touches them (origin `manual`). All else is as with any model: schema versions, switches, prices, jobs.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django.db import transaction
from django.db.models import ProtectedError
from django.utils import timezone

from catalog import availability
from catalog.changes.comparing import change_class, diff_schemas
from catalog.models import AIModel, Provider, SchemaVersion
from catalog.news import model_event
from catalog.own_schemas import SchemaRefusedError, document_of, with_fixed
from catalog.providers.base import FetchedSchema, ListedModel
from catalog.revisions import publish
from catalog.schemas.understanding import NotUnderstood, Understood, mapped_of, understand
from genfeed.clients.models import Client
from genfeed.journal.audit import Actor, Change, record

# A part of nothing but dots would lead a provider's address elsewhere.
_ID = re.compile(r"(?!\.+(?:/|$))[\w.\-]+(?:/(?!\.+(?:/|$))[\w.\-]+)*", re.ASCII)
_SAID = ("name", "category", "description", "runs_as", "upstream_version", "client_id", "schema_version")


class OwnModelError(ValueError):
    """A model that can't be added or changed so; `field` is what to mend, the message says how."""

    def __init__(self, field_name: str, message: str) -> None:
        super().__init__(message)
        self.field = field_name


@dataclass(frozen=True)
class OwnModel:
    """What a person says of a model. Its schema is `document`, or that of `base`, which is then what is called.

    `fixed_input`: what is sent with every request, of a model with a base. `client`: whom alone it is offered.
    `version`: what the provider calls the version to be run; of a model with a base, the base's.
    """

    provider: Provider
    endpoint_id: str
    name: str
    category: str
    description: str = ""
    document: dict[str, Any] | None = field(default=None, repr=False)
    base: AIModel | None = None
    fixed_input: Mapping[str, Any] = field(default_factory=dict)
    client: Client | None = None
    version: str = ""
    schema_url: str = ""


def add(wanted: OwnModel, *, actor: Actor, reason: str = "") -> AIModel:
    """Adds the model, audited and published; raises OwnModelError."""
    schema = _understood(wanted)
    endpoint_id, slug = wanted.endpoint_id, wanted.provider.slug
    if not _ID.fullmatch(endpoint_id) or len(endpoint_id) > 255:
        raise OwnModelError(
            "endpoint_id", "An id is like acme/portraits: letters, digits and . _ - in parts between slashes."
        )
    with transaction.atomic():
        if AIModel.objects.filter(provider=wanted.provider, endpoint_id=endpoint_id).exists():
            raise OwnModelError("endpoint_id", f"There is a model {slug}:{endpoint_id} already. Change that one.")
        row = AIModel(provider=wanted.provider, endpoint_id=endpoint_id, origin=AIModel.Origin.MANUAL)
        _take(row, wanted, schema)
        availability.refresh(row)
        revision = publish(f"{endpoint_id} added by {actor.name}")
        row.revision, row.changed_at = revision.number, revision.at
        row.save()
        _keep_version(row, schema, None)
        record("model.added_by_hand", [Change(row, after=_said(row))], actor=actor, reason=reason)
        model_event("model.added", row).save()
    return row


def change(row: AIModel, wanted: OwnModel, *, actor: Actor, reason: str = "") -> AIModel:
    """Brings a model that was added by hand to what is wanted, with a new schema version where its schema differs.

    Provider and id stay. Jobs keep what they were accepted with. Raises OwnModelError.
    """
    schema = _understood(wanted)
    with transaction.atomic():
        row = _locked(row)
        news = None
        before, last = _said(row), SchemaVersion.objects.filter(model=row, number=row.schema_version).first()
        _take(row, wanted, schema)
        if last is None or last.fingerprint != schema.fingerprint:
            row.schema_version += 1
            news = _keep_version(row, schema, last)
        _write(row, f"{row.endpoint_id} changed by {actor.name}")
        after = _said(row)
        changed = [name for name in after if before[name] != after[name]]
        if changed:
            said = Change(row, {name: before[name] for name in changed}, {name: after[name] for name in changed})
            record("model.changed_by_hand", [said], actor=actor, reason=reason)
        if news:
            details = {"schema_version": news.number, "changes": news.changes[:50]}
            model_event("model.changed", row, **details).save()
            if news.change_class == SchemaVersion.ChangeClass.BREAKING:
                model_event("model.schema_breaking", row, **details).save()
    return row


def retire(row: AIModel, *, actor: Actor, reason: str = "") -> AIModel:
    """Takes a model that was added by hand out of the catalog; its jobs and figures stay. Raises OwnModelError."""
    return _set_status(row, AIModel.Status.RETIRED, "model.retired_by_hand", actor, reason)


def bring_back(row: AIModel, *, actor: Actor, reason: str = "") -> AIModel:
    """Takes a retirement back. Raises OwnModelError."""
    return _set_status(row, AIModel.Status.ACTIVE, "model.brought_back", actor, reason)


def remove(row: AIModel, *, actor: Actor, reason: str = "") -> None:
    """Deletes a model that was added by hand and never used; raises OwnModelError where something refers to it."""
    with transaction.atomic():
        row = _locked(row)
        publish(f"{row.endpoint_id} removed by {actor.name}")
        record("model.removed", [Change(row, before=_said(row))], actor=actor, reason=reason)
        try:
            with transaction.atomic():
                row.delete()
        except ProtectedError:
            raise OwnModelError("", "Jobs or figures refer to this model, so it can't be removed. Retire it.") from None


def erase_models_of(client: Client, *, actor: Actor) -> int:
    """Retires the models that are offered to one client alone, without what was fixed of them; returns how many.

    Call it in the transaction that erases the client.
    """
    rows = list(AIModel.objects.filter(client=client, origin=AIModel.Origin.MANUAL).order_by("pk"))
    for row in rows:
        retire(row, actor=actor, reason="its client was erased")
        # The values stand in the schemas too.
        SchemaVersion.objects.filter(model=row).delete()
        erased = {"fixed_input": {}, "schema_version": 0, "schema_state": AIModel.SchemaState.MISSING, "metadata": {}}
        AIModel.objects.filter(pk=row.pk).update(**erased)
    return len(rows)


def fixed_document(endpoint_id: str, base: AIModel, fixed: Mapping[str, Any]) -> dict[str, Any]:
    """The document of a model that is another one with some inputs fixed; raises OwnModelError."""
    version = SchemaVersion.objects.filter(model=base, number=base.schema_version).first()
    if version is None:
        raise OwnModelError("base", f"No schema of {base.endpoint_id} is understood, so nothing can be built on it.")
    content = version.unpacked
    try:
        narrowed = with_fixed(content["input_schema"], fixed)
    except SchemaRefusedError as error:
        raise OwnModelError("fixed_input", str(error)) from None
    return document_of(endpoint_id, narrowed, content["output_schema"])


def _understood(wanted: OwnModel) -> Understood:
    if wanted.base is None:
        if wanted.fixed_input:
            raise OwnModelError("fixed_input", "Inputs can be fixed of a model that is built on another one.")
        document = wanted.document
    else:
        if wanted.base.provider_id != wanted.provider.pk:
            raise OwnModelError("base", f"{wanted.base} is a model of another provider.")
        if wanted.base.runs_as:
            raise OwnModelError("base", f"{wanted.base} is built on another model itself. Name that one.")
        document = fixed_document(wanted.endpoint_id, wanted.base, wanted.fixed_input)
    if document is None:
        raise OwnModelError("schema", "A schema is missing: name an address, paste it, or name a model to build on.")
    found = understand(FetchedSchema(wanted.endpoint_id, document), _listed(wanted))
    if isinstance(found, NotUnderstood):
        raise OwnModelError("schema", f"The schema can't be used: {found.reason}.")
    if "no_input_fields" in found.flags:
        raise OwnModelError("schema", "The schema names no input fields, so no request could be checked.")
    return found


def _listed(wanted: OwnModel) -> ListedModel:
    base = wanted.base
    return ListedModel(
        endpoint_id=wanted.endpoint_id, name=wanted.name, category=wanted.category, description=wanted.description,
        status="active", kind=base.kind if base and not wanted.category else None, tags=[], thumbnail_url="",
        updated_at="", metadata={}, version=base.upstream_version if base else wanted.version,
    )  # fmt: skip


def _take(row: AIModel, wanted: OwnModel, schema: Understood) -> None:
    listed = _listed(wanted)
    row.name, row.category, row.description = wanted.name, wanted.category, wanted.description
    row.client = wanted.client
    row.runs_as = wanted.base.endpoint_id if wanted.base else ""
    row.fixed_input = dict(wanted.fixed_input)
    row.upstream_version = listed.version or ""
    # Where it came from, for whoever changes it next.
    row.metadata = {"schema_url": wanted.schema_url} if wanted.schema_url else {}
    row.schema_state = AIModel.SchemaState.FLAGGED if schema.flags else AIModel.SchemaState.UNDERSTOOD
    row.schema_problem = ", ".join(schema.flags)[:500]
    row.schema_checked_at = timezone.now()
    for column, value in schema.derived.items():
        setattr(row, column, value)
    row.schema_version = row.schema_version or 1


def _keep_version(row: AIModel, schema: Understood, last: SchemaVersion | None) -> SchemaVersion:
    changes = diff_schemas(mapped_of(last), schema.mapped()) if last else []
    return SchemaVersion.objects.create(
        model=row, number=row.schema_version, fingerprint=schema.fingerprint, flags=schema.flags,
        change_class=change_class(changes) if last else SchemaVersion.ChangeClass.INITIAL, changes=changes,
        content=schema.content,
    )  # fmt: skip


def _set_status(row: AIModel, status: AIModel.Status, action: str, actor: Actor, reason: str) -> AIModel:
    with transaction.atomic():
        row = _locked(row)
        if row.status == status:
            return row
        before, row.status = row.status, status
        is_retired = status == AIModel.Status.RETIRED
        row.retired_at = timezone.now() if is_retired else None
        _write(row, f"{row.endpoint_id} is {status}, by {actor.name}")
        record(action, [Change(row, {"status": before}, {"status": status})], actor=actor, reason=reason)
        model_event("model.retired" if is_retired else "model.added", row).save()
    return row


def _write(row: AIModel, words: str) -> None:
    availability.refresh(row)
    revision = publish(words)
    row.revision, row.changed_at = revision.number, revision.at
    row.save()


def _locked(row: AIModel) -> AIModel:
    found = AIModel.objects.select_for_update(of=("self",)).select_related("provider").get(pk=row.pk)
    if found.origin != AIModel.Origin.MANUAL:
        raise OwnModelError("", f"{found} was not added by hand: its provider says what it is.")
    return found


def _said(row: AIModel) -> dict[str, Any]:
    # Of fixed inputs the names alone: weights are their owner's, and what is in the audit stays there.
    return {name: getattr(row, name) for name in _SAID} | {"fixed_input": sorted(row.fixed_input)}
