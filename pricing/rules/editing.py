"""What people do with price rules: write, activate, retire; checked, audited, through to the selling prices."""

from __future__ import annotations

from django.db import transaction
from django.utils import timezone

from catalog.models import AIModel, SchemaVersion
from genfeed.journal.audit import Actor, Change, record
from pricing.models import PriceRule
from pricing.rules.alerts import resolve_settled
from pricing.rules.check import BadRule, Rule, check_rule, unknown_fields
from pricing.rules.matching import never_met
from pricing.selling.publishing import lock_models, settle

_LIVE = (PriceRule.State.ACTIVE, PriceRule.State.PROPOSED)


def check_for_model(model: AIModel, body: object) -> Rule:
    """The rule, when it is well formed and speaks of fields and values that the model has; raises BadRule otherwise."""
    rule = check_rule(body)
    version = SchemaVersion.objects.filter(model=model, number=model.schema_version).first()
    inputs = version.unpacked.get("inputs", []) if version else []
    names = [item["name"] for item in inputs]
    unknown = unknown_fields(rule, names)
    if unknown:
        raise BadRule([f"{model.endpoint_id} has no field {name!r}; it has {', '.join(names)}" for name in unknown])
    never = never_met(rule, inputs)
    if never:
        raise BadRule(never)
    return rule


def save_rule(model: AIModel, body: object, *, activate: bool, actor: Actor, reason: str = "") -> PriceRule:
    """Adds a rule written by hand, active or as a proposal, in the place of what was there; raises BadRule.

    Rules are not edited in place: what an older quote was made with stays readable.
    """
    rule = check_for_model(model, body)
    with transaction.atomic():
        lock_models([model.pk])
        replaced = _LIVE if activate else (PriceRule.State.PROPOSED,)
        before = _retire_live(model, replaced, actor)
        row = PriceRule.objects.create(
            model=model,
            source=PriceRule.Source.MANUAL,
            state=PriceRule.State.ACTIVE if activate else PriceRule.State.PROPOSED,
            body=rule,
            created_by=actor.name[:200],
            decided_by=actor.name[:200] if activate else "",
            decided_at=timezone.now() if activate else None,
        )
        change = Change(row, {"replaced": before}, {"state": row.state, "body": rule})
        record("price_rule.written", [change], actor=actor, reason=reason)
        settle([model.pk], reason=f"price rule of {model} written by {actor.name}")
    return row


def activate(rule: PriceRule, *, actor: Actor, reason: str = "") -> PriceRule:
    """Makes a proposed rule the active one; raises BadRule where it is not proposed, empty, or no longer fits."""
    with transaction.atomic():
        lock_models([rule.model_id])
        rule = PriceRule.objects.select_related("model").get(pk=rule.pk)
        if rule.state != PriceRule.State.PROPOSED:
            raise BadRule([f"only a proposed rule can be activated; this one is {rule.state}"])
        if not rule.body:
            raise BadRule(["its texts could not be turned into a rule; write one first"])
        check_for_model(rule.model, rule.body)
        before = _retire_live(rule.model, (PriceRule.State.ACTIVE,), actor)
        _decide(rule, PriceRule.State.ACTIVE, actor)
        record(
            "price_rule.activated", [Change(rule, {"replaced": before}, {"state": rule.state})],
            actor=actor, reason=reason,
        )  # fmt: skip
        settle([rule.model_id], reason=f"price rule of {rule.model} activated by {actor.name}")
    return rule


def retire(rule: PriceRule, *, actor: Actor, reason: str = "") -> PriceRule:
    """Takes a rule out of use; raises BadRule where it is retired already. The same text does not bring it back."""
    with transaction.atomic():
        lock_models([rule.model_id])
        rule = PriceRule.objects.select_related("model").get(pk=rule.pk)
        if rule.state not in _LIVE:
            raise BadRule(["this rule is retired already"])
        before = rule.state
        _decide(rule, PriceRule.State.RETIRED, actor)
        record(
            "price_rule.retired", [Change(rule, {"state": before}, {"state": rule.state})], actor=actor, reason=reason
        )
        settle([rule.model_id], reason=f"price rule of {rule.model} retired by {actor.name}")
    return rule


def _retire_live(model: AIModel, states: tuple[str, ...], actor: Actor) -> list[int]:
    replaced = list(PriceRule.objects.filter(model=model, state__in=states))
    for rule in replaced:
        _decide(rule, PriceRule.State.RETIRED, actor)
    return [rule.pk for rule in replaced]


def _decide(rule: PriceRule, state: str, actor: Actor) -> None:
    rule.state, rule.decided_by, rule.decided_at = state, actor.name[:200], timezone.now()
    rule.save(update_fields=["state", "decided_by", "decided_at"])
    resolve_settled()
