"""What default requests cost a client, for many models at once: from the costs that offers were made of."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from django.db.models import Q

from pricing.margins.book import RuleBook
from pricing.margins.terms import price_of
from pricing.models import ModelPricing
from pricing.money import NotMoney


@dataclass(frozen=True, slots=True)
class DefaultPrice:
    """A default request of one model: what the client pays and what it costs us, in nano-USD, and how sure that is."""

    pk: int
    category: str
    provider_id: int
    price: int
    cost: int
    confidence: str
    quality: str  # what an admin says of the model; "" where nothing


def default_prices(
    book: RuleBook,
    client_id: int | None,
    *,
    category: str | None = None,
    media_type: str | None = None,
    also: Collection[int] = (),
) -> dict[int, DefaultPrice]:
    """Offered models with a known default cost, by key, in one query: all of a category, or of a media type, and
    those with the keys in `also`, whatever they are."""
    wanted = Q()
    if category is not None:
        wanted &= Q(model__category=category)
    if media_type is not None:
        wanted &= Q(model__media_type=media_type)
    if also and wanted:
        wanted |= Q(model__in=also)
    rows = ModelPricing.objects.filter(wanted, default_cost__isnull=False, model__enabled=True)
    columns = rows.values_list(
        "model_id", "model__category", "model__provider_id", "default_cost", "default_confidence", "quality"
    )
    found = {}
    for key, category_of, provider, cost, confidence, quality in columns:
        row = DefaultPrice(key, category_of, provider, 0, cost or 0, confidence, quality)
        try:
            price = price_of(row.cost, book.applied(row, client_id).terms)
        except NotMoney:
            # Beyond all bounds: no price that could be shown.
            continue
        found[key] = DefaultPrice(key, category_of, provider, price, row.cost, confidence, quality)
    return found
