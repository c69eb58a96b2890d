"""The price of one model, asked for now: the same guards as in a sync, for a person who does not want to wait."""

from __future__ import annotations

from django.db import transaction
from django.utils import timezone

from catalog.models import AIModel
from catalog.providers import base
from catalog.providers.base import ProviderBadAnswerError
from pricing.models import ModelPricing, PricePoint
from pricing.prices.alerts import resolve_gone
from pricing.prices.points import Outcome, record_point
from pricing.rules import reading as rule_reading
from pricing.rules.alerts import resolve_settled
from pricing.selling.publishing import settle


def refresh_price(model: AIModel) -> Outcome | None:
    """Asks the provider for the price of one model and takes it in, through to the selling price.

    None where the provider has no price for it; what is known stays then. Raises ProviderError, and NotMoney for a
    price that makes no sense, changing nothing.
    """
    provider = base.open_provider(model.provider.slug)
    try:
        row = provider.fetch_prices([model.endpoint_id], apart=True).get(model.endpoint_id)
    finally:
        provider.close()
    if row is not None and row.unit_price is None:
        raise ProviderBadAnswerError(f"{provider.name} names no usable price: {row.problem}.")
    with transaction.atomic():
        memory = {"has_row": row is not None, "asked_at": timezone.now()}
        ModelPricing.objects.update_or_create(model=model, defaults=memory)
        if row is None:
            return None
        outcome = record_point(
            model, source=PricePoint.Source.ADVERTISED, raw_unit=row.unit, unit_price=row.unit_price,
            currency=row.currency,
        )  # fmt: skip
        # A rule may follow from the row, too.
        rules = rule_reading.apply([model.pk], {})
        resolve_gone([model.provider_id])
        resolve_settled()
        if outcome.changes_cost or rules.touched:
            settle([model.pk], reason=f"price of {model} asked for")
    return outcome
