"""What pricing tells the catalog: the selling price of each model, and whether it may be sold."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django.db import transaction

from catalog import availability
from catalog.models import AIModel
from catalog.news import model_event
from catalog.revisions import publish
from genfeed.journal.models import OutboxEvent


@dataclass(frozen=True)
class Offer:
    """`price` as lists show it, `legacy_pricing` in the legacy shape, `priced` whether it allows a sale."""

    price: dict[str, Any]
    legacy_pricing: dict[str, float]
    priced: bool


@dataclass(frozen=True)
class OfferChange:
    """An offer that was written: the row as it is now, and what it offered before."""

    row: AIModel
    before: Offer

    @property
    def is_new_price(self) -> bool:
        """Whether clients pay something else than before; a price of the same amount may only be better founded."""
        before, now = self.before.price, self.row.price
        same = all(before.get(name) == now[name] for name in ("amount", "unit", "currency"))
        return not same or self.before.legacy_pricing != self.row.legacy_pricing


_WRITTEN = ["price", "legacy_pricing", "priced", "enabled", "held_reason", "revision", "changed_at"]


def write_offers(offers: Mapping[int, Offer], *, reason: str) -> list[OfferChange]:
    """Writes the offers that differ (by model key), settles availability, and publishes one revision for all.

    Each new selling price makes one `model.price_changed` event; `announce` is the only place that makes them. Call it
    once in the transaction of the change that the offers follow from. Returns what changed.
    """
    with transaction.atomic():
        rows = AIModel.objects.select_for_update(of=("self",)).select_related("provider").order_by("pk")
        changes = [change for row in rows.filter(pk__in=offers.keys()) if (change := _take(row, offers[row.pk]))]
        if not changes:
            return []
        revision = publish(reason)
        for change in changes:
            change.row.revision, change.row.changed_at = revision.number, revision.at
        _write(change.row for change in changes)
        announce(changes, reason=reason)
    return changes


def _take(row: AIModel, offer: Offer) -> OfferChange | None:
    before = Offer(row.price, row.legacy_pricing, row.priced)
    row.price, row.legacy_pricing, row.priced = offer.price, offer.legacy_pricing, offer.priced
    return OfferChange(row, before) if availability.refresh(row) or before != offer else None


def _write(rows: Iterable[AIModel]) -> None:
    # An upsert of rows that are there and locked: ten times as fast as one UPDATE with a CASE for each column.
    AIModel.objects.bulk_create(rows, update_conflicts=True, unique_fields=["id"], update_fields=_WRITTEN)


def announce(changes: Iterable[OfferChange], *, reason: str) -> None:
    """Tells clients of new selling prices, in the transaction that writes them."""
    events = [
        model_event(
            "model.price_changed", change.row, price=change.row.price, previous=change.before.price, reason=reason
        )
        for change in changes
        if change.is_new_price
    ]
    OutboxEvent.objects.bulk_create(events, batch_size=500)
