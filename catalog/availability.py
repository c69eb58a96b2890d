"""May a model be offered to clients, and if not, why: the only writer of `switch`, `enabled` and `held_reason`."""

from collections.abc import Iterable
from dataclasses import dataclass

from django.conf import settings
from django.db import transaction

from catalog.models import AIModel
from catalog.news import model_event
from catalog.revisions import publish
from genfeed.journal.audit import SYSTEM, Actor, Change, record
from genfeed.journal.models import OutboxEvent

# Reason -> words for people. The first group stands whatever a person decides; the second a person may overrule.
BLOCKING = {
    "retired": "The provider no longer lists this model.",
    "schema_missing": "The provider publishes no schema for this model, so its input can't be checked.",
    "schema_not_understood": "The model's schema is not understood, so its input can't be checked.",
    "unpriced": "Nothing is known yet of what it costs, so it can't be sold. Give it a price, a rule or a calibration.",
}
OVERRULABLE = {
    "deprecated": "The provider calls this model deprecated. Switch it on to offer it all the same.",
    "review": "New models wait for a review (setting CATALOG_REVIEW_NEW). Switch it on to offer it.",
    "bill_anomaly": "Bills of its jobs could not be right, twice in a row. Decide them, then switch it on to offer it.",
}
HELD_WORDS = {**BLOCKING, **OVERRULABLE}


@dataclass(frozen=True)
class Availability:
    enabled: bool
    held_reason: str


def decide(model: AIModel, *, review: bool) -> Availability:
    """What follows from switch, status, schema and price. `review`: hold it while nobody has decided."""
    if model.origin == AIModel.Origin.EXISTING:
        # Of a collection that was there before: its owner's toggle stands, whatever we know.
        # Unless selling it on would lose money by the hour.
        return Availability(model.switch == AIModel.Switch.ON and not model.stopped_for, model.stopped_for)
    blocking = _blocking_reason(model)
    if blocking:
        return Availability(False, blocking)
    if model.switch == AIModel.Switch.OFF:
        return Availability(False, "")
    if model.stopped_for:
        return Availability(False, model.stopped_for)
    if model.switch == AIModel.Switch.ON:
        return Availability(True, "")
    if model.status == AIModel.Status.DEPRECATED:
        return Availability(False, "deprecated")
    return Availability(False, "review") if review else Availability(True, "")


def _blocking_reason(model: AIModel) -> str:
    if model.status == AIModel.Status.RETIRED:
        return "retired"
    if model.schema_version:
        # An understood version stays good even while the provider's newest document is not.
        sold = settings.GENFEED_MODE == "cloud"
        return "unpriced" if sold and not model.priced else ""
    missing = model.schema_state == AIModel.SchemaState.MISSING
    return "schema_missing" if missing else "schema_not_understood"


def refresh(model: AIModel, *, is_new: bool = False) -> bool:
    """Brings `enabled` and `held_reason` up to date on the instance, without saving; True where they changed.

    The setting CATALOG_REVIEW_NEW holds models that are new; one that waits for a review does so until a person
    decides, also where it was held for another reason first or in between.
    """
    if is_new and settings.CATALOG_REVIEW_NEW:
        model.awaits_review = True
    decided = decide(model, review=model.awaits_review)
    if (model.enabled, model.held_reason) == (decided.enabled, decided.held_reason):
        return False
    model.enabled, model.held_reason = decided.enabled, decided.held_reason
    return True


def stop_selling(key: int, *, reason: str, why: str) -> bool:
    """Takes a model (by primary key) off sale for a reason of HELD_WORDS until a person switches it on again.

    `why` stands in the audit. Also a model that a person has switched on is stopped; False where it was already.
    """
    with transaction.atomic():
        row = AIModel.objects.select_for_update().get(pk=key)
        if row.stopped_for == reason:
            return False
        before = {"stopped_for": row.stopped_for, "enabled": row.enabled}
        row.stopped_for = reason
        refresh(row)
        revision = publish(f"{row.endpoint_id} is not sold: {HELD_WORDS[reason]}")
        row.revision, row.changed_at = revision.number, revision.at
        row.save(update_fields=["stopped_for", "enabled", "held_reason", "revision", "changed_at"])
        change = Change(row, before, {"stopped_for": reason, "enabled": row.enabled})
        record("model.stopped", [change], actor=SYSTEM, reason=why)
    return True


@dataclass(frozen=True)
class SwitchResult:
    """What a switch did: ids of the models that changed, that were so already, and that stay held (id -> reason)."""

    changed: list[str]
    unchanged: list[str]
    held: dict[str, str]


def switch_models(models: Iterable[AIModel], *, on: bool, actor: Actor, reason: str = "") -> SwitchResult:
    """Switches models on or off by a person's decision: all or none, audited, and published as one revision.

    Switching on a model with a blocking reason records the decision; the model is offered once the reason is gone.
    """
    return _switch(models, AIModel.Switch.ON if on else AIModel.Switch.OFF, actor=actor, reason=reason)


def release_switches(models: Iterable[AIModel], *, actor: Actor, reason: str = "") -> SwitchResult:
    """Takes decisions back: from now on the catalog's rules say again whether these models are offered."""
    return _switch(models, AIModel.Switch.AUTO, actor=actor, reason=reason)


def _switch(models: Iterable[AIModel], wanted: AIModel.Switch, *, actor: Actor, reason: str) -> SwitchResult:
    on = wanted == AIModel.Switch.ON
    result = SwitchResult([], [], {})
    with transaction.atomic():
        keys = [model.pk for model in models]
        # Locked in one order, so that two bulk switches wait for each other instead of dead-locking.
        rows = list(
            AIModel.objects.select_for_update(of=("self",))
            .select_related("provider")
            .filter(pk__in=keys)
            .order_by("pk")
        )
        changes: list[Change] = []
        changed_rows: list[AIModel] = []
        for row in rows:
            before = {"switch": row.switch, "enabled": row.enabled}
            row.switch, row.awaits_review = wanted, False
            if on:
                row.stopped_for = ""
            refresh(row)
            after = {"switch": row.switch, "enabled": row.enabled}
            if on and not row.enabled:
                result.held[row.endpoint_id] = HELD_WORDS[row.held_reason]
            if before == after:
                result.unchanged.append(row.endpoint_id)
                continue
            result.changed.append(row.endpoint_id)
            changed_rows.append(row)
            changes.append(Change(row, before, after))
        if changes:
            revision = publish(f"{len(changes)} model{'s' * (len(changes) > 1)} switched {wanted} by {actor.name}")
            for row in changed_rows:
                row.revision = revision.number
                row.changed_at = revision.at
            AIModel.objects.bulk_update(
                changed_rows,
                ["switch", "awaits_review", "stopped_for", "enabled", "held_reason", "revision", "changed_at"],
                batch_size=500,
            )
            action = {"on": "model.switched_on", "off": "model.switched_off"}.get(wanted, "model.switch_released")
            record(action, changes, actor=actor, reason=reason)
            added = [row for row, one in zip(changed_rows, changes, strict=True) if row.enabled > one.before["enabled"]]
            OutboxEvent.objects.bulk_create([model_event("model.added", row) for row in added], batch_size=500)
    return result
