"""From costs to offers: default requests estimated, priced by the margin rules, and told to the catalog."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import Exists, OuterRef
from django.utils import timezone

from catalog.models import AIModel, unknown_price
from catalog.offers import Offer, OfferChange, write_offers
from catalog.schemas.examples import example_input
from pricing.estimates.costs import Estimate
from pricing.estimates.facts import Facts, bare_facts, load_facts
from pricing.estimates.history import history_of
from pricing.existing.kept_offers import kept_offers
from pricing.margins.book import RuleBook, load_book
from pricing.models import ModelPricing, ProviderEstimate, SellingPrice, UsageRecord
from pricing.money import format_decimal
from pricing.selling.prices import offer_of
from pricing.selling.standing import Standing, estimate_default, read_standing, standing_of

_ESTIMATED = [
    "state", "standing", "default_cost", "default_confidence", "default_units", "default_unit", "default_basis",
    "default_missing", "computed_at",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Sellable:
    """A model with what it costs: all that a margin rule needs to make an offer of it."""

    pk: int
    category: str
    provider_id: int
    standing: Standing


def recompute(keys: Iterable[int] | None, *, reason: str) -> int:
    """Estimates the default requests of these models anew (None: of all), prices them, and writes what changed.

    Call it last in the transaction of whatever changed points, rules, texts or schemas, and once: every call that
    changes a selling price writes a `model.price_changed` event for it. Returns how many offers changed.
    """
    chosen = None if keys is None else list(keys)
    if chosen == []:
        return 0
    with transaction.atomic():
        lock(chosen)
        now = timezone.now()
        past = _with_past(chosen)
        rows = [_estimated(facts, now, past) for facts in load_facts(chosen)]
        ModelPricing.objects.bulk_create(rows, update_conflicts=True, unique_fields=["model"], update_fields=_ESTIMATED)
        return reprice(chosen, reason=reason)


def begin(rows: Iterable[AIModel], *, reason: str) -> None:
    """Writes for new models, of which nothing is known but the offer that they came with, what `recompute` would.

    Call it in the transaction that made them: nobody else knows them, so nothing is locked and nothing read again.
    """
    rows, now = list(rows), timezone.now()
    ModelPricing.objects.bulk_create([_estimated(bare_facts(row), now, set()) for row in rows], batch_size=500)
    _write_history([row for row in rows if row.price != unknown_price()], {}, reason)


def reprice(keys: Iterable[int] | None = None, *, reason: str) -> int:
    """Prices these models (None: all) by the margin rules in force, from the costs that are known already.

    Writes the offers that differ, the history of selling prices and the events, and publishes one revision for all;
    nothing where nothing differs. Returns how many offers changed.
    """
    chosen = None if keys is None else list(keys)
    with transaction.atomic():
        lock(chosen)
        changes = write_offers(offers_of(load_sellables(chosen), load_book(), chosen), reason=reason)
        _remember(changes, reason)
    return len(changes)


def lock(keys: Iterable[int] | None = None) -> None:
    """Waits for other computations of these models' prices (None: of all), and keeps others waiting until we commit.

    Whoever locks more locks in this order: models by their keys, the margin clock, the catalog's revision.
    """
    rows = AIModel.objects.select_for_update().order_by("pk")
    list((rows if keys is None else rows.filter(pk__in=list(keys))).values_list("pk"))


def load_sellables(keys: Iterable[int] | None = None) -> list[Sellable]:
    """The models (None: all) with the costs that were computed last, in one query; unknown where none were."""
    rows = AIModel.objects.order_by("pk") if keys is None else AIModel.objects.filter(pk__in=list(keys)).order_by("pk")
    columns = rows.values_list("pk", "category", "provider_id", "pricing__standing")
    return [Sellable(pk, category, provider, read_standing(stored or {})) for pk, category, provider, stored in columns]


def offers_of(
    models: Iterable[Sellable],
    book: RuleBook,
    keys: Iterable[int] | None = None,
    client_id: int | None = None,
    *,
    kept: Mapping[int, Offer] | None = None,
) -> dict[int, Offer]:
    """The offer of each model by a book of margin rules, to everybody or to one client, by model key.

    Models of the existing collection keep the price that they came with: `kept`, read here unless it is given.
    """
    kept = kept_offers(keys) if kept is None else kept
    return {
        model.pk: kept[model.pk] if model.pk in kept else offer_of(model.standing, book.applied(model, client_id).terms)
        for model in models
    }


def _with_past(keys: list[int] | None) -> set[int]:
    """The models (None: of all) that somebody has called before; only of these a history is worth a query."""
    ours = Exists(UsageRecord.objects.filter(model=OuterRef("pk")))
    theirs = Exists(ProviderEstimate.objects.filter(model=OuterRef("pk"), cost__isnull=False))
    # Asked model by model: to look through all jobs for the models among them takes as long as there are jobs.
    models = AIModel.objects.filter(ours | theirs).order_by()
    return set((models if keys is None else models.filter(pk__in=keys)).values_list("pk", flat=True))


def _estimated(facts: Facts, now: datetime, past: set[int]) -> ModelPricing:
    history = history_of(facts, example_input(facts.inputs)) if facts.pk in past else None
    answer = estimate_default(facts, history)
    standing = standing_of(facts, answer)
    return ModelPricing(
        model_id=facts.pk,
        state=standing.state,
        standing=standing.as_json(),
        default_cost=standing.default_cost,
        default_confidence=answer.confidence,
        default_units=_short(answer),
        default_unit=answer.unit[:60],
        default_basis=answer.basis,
        default_missing=list(answer.missing),
        computed_at=now,
    )


def _short(answer: Estimate) -> str:
    return "" if answer.units is None else format_decimal(answer.units)[:40]


def _remember(changes: Iterable[OfferChange], reason: str) -> None:
    """Writes the new selling prices into the history."""
    changed = [change.row for change in changes if change.before.price != change.row.price]
    costs: Mapping[int, Any] = ModelPricing.objects.filter(model__in=[row.pk for row in changed]).in_bulk(
        field_name="model_id"
    )
    _write_history(changed, costs, reason)


def _write_history(rows: Iterable[AIModel], costs: Mapping[int, Any], reason: str) -> None:
    SellingPrice.objects.bulk_create(
        [
            SellingPrice(
                model_id=row.pk,
                effective_from=row.changed_at,
                price=row.price,
                unit_cost=(costs[row.pk].standing.get("unit_cost") or "") if row.pk in costs else "",
                default_cost=costs[row.pk].default_cost if row.pk in costs else None,
                reason=reason[:200],
            )
            for row in rows
        ],
        batch_size=500,
    )
