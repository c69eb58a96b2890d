"""What pricing tells the catalog: the selling price of each model, and whether it may be sold."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.utils import timezone

from catalog import availability
from catalog.models import AIModel
from catalog.revisions import publish


@dataclass(frozen=True)
class Offer:
    """`price` as lists show it, `legacy_pricing` in the legacy shape, `priced` whether it allows a sale."""

    price: dict[str, Any]
    legacy_pricing: dict[str, float]
    priced: bool


def write_offers(offers: Mapping[int, Offer], *, reason: str) -> int:
    """Writes the offers that differ (by model key), settles availability, and publishes one revision for all.

    Call it inside the transaction of the change that they follow from. Returns how many models changed.
    """
    with transaction.atomic():
        rows = AIModel.objects.select_for_update().filter(pk__in=offers.keys()).order_by("pk")
        changed = [row for row in rows if _take(row, offers[row.pk])]
        if not changed:
            return 0
        revision = publish(reason)
        now = timezone.now()
        for row in changed:
            row.revision, row.changed_at = revision.number, now
        AIModel.objects.bulk_update(
            changed,
            ["price", "legacy_pricing", "priced", "enabled", "held_reason", "revision", "changed_at"],
            batch_size=200,
        )
    return len(changed)


def _take(row: AIModel, offer: Offer) -> bool:
    differs = (row.price, row.legacy_pricing, row.priced) != (offer.price, offer.legacy_pricing, offer.priced)
    row.price, row.legacy_pricing, row.priced = offer.price, offer.legacy_pricing, offer.priced
    return availability.refresh(row) or differs
