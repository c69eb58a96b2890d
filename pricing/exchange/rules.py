"""Price rules that came with a catalog: they stand where no person of this installation decided otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django.db import transaction
from django.utils import timezone

from catalog.exchange.contents import Record, RuleRecord
from catalog.models import AIModel, Provider
from catalog.sync_runs import Lease
from pricing.models import ModelPricing, PriceRule
from pricing.rules.check import BadRule
from pricing.rules.editing import check_for_model
from pricing.selling.publishing import lock_models, settle

_BY_CLOUD = "catalog of the cloud"


@dataclass
class RulesTaken:
    """Counts: taken over, left because of a person's decision here, taken back; `refused`: id -> why."""

    taken: int = 0
    left: int = 0
    gone: int = 0
    refused: dict[str, str] = field(default_factory=dict)

    def as_report(self) -> dict[str, Any]:
        """For a sync's report."""
        return {"taken": self.taken, "left": self.left, "gone": self.gone, "refused": self.refused}


def take_rules(provider: Provider, records: Mapping[str, Record], lease: Lease) -> RulesTaken:
    """Brings the cloud's rules of these models (by endpoint id) to what was exported, through to selling prices.

    A rule that a person here wrote, decided or retired stands. Call it before the texts are read: a text whose rule
    was displaced by the cloud's is read again once that is gone.
    """
    result = RulesTaken()
    with transaction.atomic():
        lease.prove()
        rows = {
            row.pk: row
            for row in AIModel.objects.filter(provider=provider, endpoint_id__in=list(records)).select_related(
                "provider"
            )
        }
        lock_models(rows)
        ours: dict[int, list[PriceRule]] = {}
        for rule in PriceRule.objects.filter(model__in=rows).order_by("pk"):
            ours.setdefault(rule.model_id, []).append(rule)
        touched = [
            key for key, row in rows.items() if _take(row, records[row.endpoint_id].rule, ours.get(key, []), result)
        ]
        if touched:
            settle(touched, reason=f"price rules of the cloud for {provider.name}")
    return result


def _take(model: AIModel, wanted: RuleRecord | None, ours: list[PriceRule], result: RulesTaken) -> bool:
    """One model's rule; whether that changed what is in force."""
    active = next((rule for rule in ours if rule.state == PriceRule.State.ACTIVE), None)
    from_cloud = active if active and active.source == PriceRule.Source.CLOUD else None
    if wanted is None:
        if from_cloud is None:
            return False
        _retire(from_cloud)
        # What the texts say was only proposed beside it: now it may count.
        ModelPricing.objects.filter(model=model).update(read_digest="")
        result.gone += 1
        return True
    said = (wanted.body, wanted.billed_in)
    if active and (active.body, active.billed_in) == said:
        return False
    if active and from_cloud is None and (active.decided_by or active.source != PriceRule.Source.NOTE):
        result.left += 1
        return False
    if any(_was_refused(rule, said) for rule in ours):
        result.left += 1
        return False
    try:
        body = check_for_model(model, wanted.body)
    except BadRule as error:
        result.refused[model.endpoint_id] = str(error)[:300]
        return False
    if active:
        _retire(active)
    PriceRule.objects.create(
        model=model,
        source=PriceRule.Source.CLOUD,
        state=PriceRule.State.ACTIVE,
        body=body,
        billed_in=wanted.billed_in,
        created_by=_BY_CLOUD,
    )
    result.taken += 1
    return True


def _was_refused(rule: PriceRule, said: tuple[dict[str, Any], str]) -> bool:
    """Whether a person here has taken this very rule out of use."""
    by_person = rule.state == PriceRule.State.RETIRED and bool(rule.decided_by)
    return by_person and rule.source in _READ and (rule.body, rule.billed_in) == said


_READ = (PriceRule.Source.CLOUD, PriceRule.Source.NOTE)


def _retire(rule: PriceRule) -> None:
    rule.state, rule.decided_at = PriceRule.State.RETIRED, timezone.now()
    rule.save(update_fields=["state", "decided_at"])
