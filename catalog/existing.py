"""Rows of a collection that was there before: taken into the catalog beside what is discovered, and kept as they are.

A model of it that is discovered too is one row, of origin `existing`: a sync brings its schema, description and status
up to date, but its name, its category and its owner's switch stay.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from django.db import transaction
from django.db.models import Q

from catalog import availability
from catalog.models import AIModel, Provider, unknown_price
from catalog.news import model_event
from catalog.offers import Offer, OfferChange, announce
from catalog.revisions import publish
from catalog.schemas.understanding import derived_columns
from genfeed.journal.models import OutboxEvent

# What its owner calls it and where its owner puts it.
KEPT_COLUMNS = ("name", "category")
_IDS_A_QUERY = 500


@dataclass(frozen=True)
class Wanted:
    """A model as its owner has it; an empty category leaves the provider's. `offer`: what a new row is offered for; one
    that is known has an offer already, which pricing brings up to date."""

    provider: Provider
    endpoint_id: str
    name: str
    category: str
    enabled: bool
    offer: Offer | None = None


@dataclass(frozen=True)
class Kept:
    """The row that stands for it; `was_known` where a sync or a person had made it before; what changed of it."""

    row: AIModel
    was_known: bool
    before: dict[str, Any] = field(default_factory=dict)
    after: dict[str, Any] = field(default_factory=dict)


def find_models(addresses: Iterable[tuple[int, str]]) -> dict[tuple[int, str], AIModel]:
    """The known models by (provider key, endpoint id), in the order of their keys."""
    ids_of: dict[int, list[str]] = {}
    for provider_id, endpoint_id in addresses:
        ids_of.setdefault(provider_id, []).append(endpoint_id)
    found: dict[tuple[int, str], AIModel] = {}
    for provider_id, ids in ids_of.items():
        for start in range(0, len(ids), _IDS_A_QUERY):
            chosen = Q(provider_id=provider_id, endpoint_id__in=ids[start : start + _IDS_A_QUERY])
            found |= {(row.provider_id, row.endpoint_id): row for row in AIModel.objects.filter(chosen).order_by("pk")}
    return found


def keep_models(wanted: Iterable[Wanted], *, reason: str) -> list[Kept]:
    """Takes models into the catalog, or marks those that are there as kept, in one revision.

    Call it inside the transaction that also writes the offers of known ones, and the audit. Locks those, then the
    revision.
    """
    wanted = list(wanted)
    if not wanted:
        return []
    with transaction.atomic():
        known = _locked((model.provider.pk, model.endpoint_id) for model in wanted)
        kept = [_keep(model, known.get((model.provider.pk, model.endpoint_id))) for model in wanted]
        revision = publish(reason)
        for one in kept:
            one.row.revision, one.row.changed_at = revision.number, revision.at
        AIModel.objects.bulk_update(
            [one.row for one in kept if one.was_known],
            [*KEPT_COLUMNS, "origin", "switch", "enabled", "held_reason", "revision", "changed_at"],
            batch_size=200,
        )
        new = [one.row for one in kept if not one.was_known]
        AIModel.objects.bulk_create(new, batch_size=200)
        OutboxEvent.objects.bulk_create([model_event("model.added", row) for row in new], batch_size=500)
        nothing = Offer(unknown_price(), {}, priced=False)
        announce([OfferChange(row, nothing) for row in new], reason=reason)
    return kept


def _locked(addresses: Iterable[tuple[int, str]]) -> dict[tuple[int, str], AIModel]:
    """The known models as they are once nobody else writes them, in the order in which all writers lock them."""
    addresses = list(addresses)
    keys = [row.pk for row in find_models(addresses).values()]
    list(AIModel.objects.select_for_update().filter(pk__in=keys).order_by("pk").values_list("pk"))
    return find_models(addresses) if keys else {}


def _keep(model: Wanted, row: AIModel | None) -> Kept:
    switch = AIModel.Switch.ON if model.enabled else AIModel.Switch.OFF
    if row is None:
        row = AIModel(
            provider=model.provider,
            endpoint_id=model.endpoint_id,
            origin=AIModel.Origin.EXISTING,
            name=model.name,
            category=model.category,
            switch=switch,
            schema_problem="Of the existing collection; its provider has not been asked for a schema.",
            **derived_columns(model.category, None, None),
        )
        if model.offer:
            row.price, row.legacy_pricing, row.priced = (
                model.offer.price, model.offer.legacy_pricing, model.offer.priced,
            )  # fmt: skip
        availability.refresh(row)
        return Kept(row, was_known=False, after={"switch": switch, "enabled": row.enabled})
    old = _values(row)
    row.origin, row.switch, row.name = AIModel.Origin.EXISTING, switch, model.name
    row.category = model.category or row.category
    availability.refresh(row)
    new = _values(row)
    changed = [name for name in old if old[name] != new[name]]
    return Kept(row, True, {name: old[name] for name in changed}, {name: new[name] for name in changed})


def _values(row: AIModel) -> dict[str, Any]:
    return {name: getattr(row, name) for name in ("origin", *KEPT_COLUMNS, "switch", "enabled", "held_reason")}
