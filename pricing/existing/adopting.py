"""The owner's opt-in: an existing model's own price gives way to the one that margin rules make, or comes back.

Nothing else alters the price of an existing model (D8). Both ways are audited.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from django.db import transaction

from genfeed.journal.audit import Actor, Change, record
from pricing.models import ExistingModel
from pricing.selling.offers import lock, recompute


@dataclass
class AdoptionResult:
    """Legacy ids that changed, and those that stay as they are, each with the reason."""

    changed: list[str] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)


def adopt_prices(rows: Iterable[ExistingModel], *, actor: Actor, reason: str = "") -> AdoptionResult:
    """Lets the computed price stand for these models from now on, all in one catalog revision.

    Refused for a model whose price can't be computed: it would be left without any. Its own price stays on record.
    """
    return _set(rows, keeps_price=False, actor=actor, reason=reason)


def keep_prices(rows: Iterable[ExistingModel], *, actor: Actor, reason: str = "") -> AdoptionResult:
    """Lets the imported price stand again."""
    return _set(rows, keeps_price=True, actor=actor, reason=reason)


def why_not_adoptable(row: ExistingModel) -> str:
    """Why the computed price can't stand for this model, in words; "" where it can. Needs `model.pricing` loaded."""
    if not row.keeps_price:
        return "the computed price stands already"
    if row.match != ExistingModel.Match.SAME:
        return "its provider does not list this id, so nothing is known of its cost"
    pricing = getattr(row.model, "pricing", None)
    if pricing is None or not pricing.standing.get("priced"):
        return "its cost is not known yet, so no price follows from it"
    return ""


def _set(rows: Iterable[ExistingModel], *, keeps_price: bool, actor: Actor, reason: str) -> AdoptionResult:
    result = AdoptionResult()
    rows = list(rows)
    keys = [row.pk for row in rows]
    with transaction.atomic():
        # The models first, as everything that changes prices does: an import that waits for us can't hold us up.
        lock(row.model_id for row in rows)
        locked = ExistingModel.objects.select_for_update(of=("self",)).select_related(
            "model__pricing", "model__provider"
        )
        changed = []
        for row in locked.filter(pk__in=keys).order_by("pk"):
            why = ("its own price stands already" if row.keeps_price else "") if keeps_price else why_not_adoptable(row)
            if why:
                result.refused[row.legacy_id] = why
                continue
            changed.append(row)
            row.keeps_price = keeps_price
        if not changed:
            return result
        before = {row.pk: row.model.price for row in changed}
        ExistingModel.objects.bulk_update(changed, ["keeps_price"], batch_size=200)
        words = "adopted" if not keeps_price else "returned to their own"
        recompute([row.model_id for row in changed], reason=f"prices of existing models {words} by {actor.name}")
        for row in changed:
            row.model.refresh_from_db(fields=["price"])
        record(
            "existing.price_kept" if keeps_price else "existing.price_adopted",
            [
                Change(
                    row,
                    {"keeps_price": not keeps_price, "price": before[row.pk]},
                    {"keeps_price": keeps_price, "price": row.model.price},
                )
                for row in changed
            ],
            actor=actor,
            reason=reason,
        )
        result.changed = [row.legacy_id for row in changed]
    return result
