"""What an admin says of a model's quality; choosing a model believes it before any evidence."""

from __future__ import annotations

from collections.abc import Iterable

from django.db import transaction

from catalog.models import AIModel
from catalog.revisions import publish
from genfeed.journal.audit import Actor, Change, record
from pricing.choosing.quality import TIERS
from pricing.models import ModelPricing


class UnknownTierError(ValueError):
    """A tier that does not exist; the message names those that do."""


def set_quality(models: Iterable[AIModel], tier: str, *, actor: Actor, reason: str = "") -> int:
    """Sets the tier of these models ("": derived again), audited and in one revision; returns how many changed."""
    if tier and tier not in TIERS:
        raise UnknownTierError(f"There is no quality {tier!r}; tiers are {', '.join(TIERS)}.")
    with transaction.atomic():
        keys = [model.pk for model in models]
        rows = list(AIModel.objects.select_for_update().filter(pk__in=keys).order_by("pk"))
        known = {one.model_id: one for one in ModelPricing.objects.filter(model__in=rows)}
        missing = [ModelPricing(model=row) for row in rows if row.pk not in known]
        known |= {one.model_id: one for one in ModelPricing.objects.bulk_create(missing)}
        changed = [row for row in rows if known[row.pk].quality != tier]
        if not changed:
            return 0
        changes = [Change(row, {"quality": known[row.pk].quality}, {"quality": tier}) for row in changed]
        ModelPricing.objects.filter(model__in=changed).update(quality=tier)
        record("model.quality_set", changes, actor=actor, reason=reason)
        # Processes remember facts about models by the revision.
        publish(f"quality of {len(changed)} model{'s' * (len(changed) > 1)} set by {actor.name}")
    return len(changed)
