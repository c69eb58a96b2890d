"""Default models: which one runs what is asked of `default:<category>`, as a person chose."""

from __future__ import annotations

from django.db import transaction

from catalog.models import AIModel, DefaultModel
from catalog.revisions import publish
from genfeed.journal.audit import Actor, Change, record


def set_default(row: AIModel, *, actor: Actor, reason: str = "") -> None:
    """Makes the model the default of its category, in place of another one; audited and published."""
    with transaction.atomic():
        held = DefaultModel.objects.select_for_update(of=("self",)).select_related("model")
        before = held.filter(category=row.category).first()
        if before and before.model_id == row.pk:
            return
        # One that it was of another category, before its provider called it otherwise.
        DefaultModel.objects.filter(model=row).delete()
        DefaultModel.objects.update_or_create(category=row.category, defaults={"model": row})
        was = {"default": str(before.model)} if before else {}
        change = Change(row, was, {"default": str(row), "category": row.category})
        record("model.made_default", [change], actor=actor, reason=reason)
        publish(f"{row} is the default of {row.category}, by {actor.name}")


def drop_default(row: AIModel, *, actor: Actor, reason: str = "") -> None:
    """Takes the model's being a default back; audited and published."""
    with transaction.atomic():
        held = DefaultModel.objects.filter(model=row)
        categories = list(held.values_list("category", flat=True))
        if not categories:
            return
        held.delete()
        record("model.no_default", [Change(row, before={"categories": categories})], actor=actor, reason=reason)
        publish(f"{row} is no default any more, by {actor.name}")
