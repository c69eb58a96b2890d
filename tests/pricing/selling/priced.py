"""Priced models for tests of selling."""

from typing import Any

from catalog import published
from catalog.models import AIModel, SchemaVersion
from genfeed.journal.audit import Actor
from pricing.margins.rules import Draft, save_rule
from pricing.models import MarginRule, PricePoint, PriceRule
from pricing.money import parse_usd
from pricing.selling import offers
from tests.factories import make_model

FINANCE = Actor(name="finance")


def make_priced(
    endpoint_id: str = "fal-ai/flux/dev",
    unit_price: str = "0.025",
    unit: str = "images",
    *,
    source: str = "advertised",
    is_free: bool = False,
    rule: dict[str, Any] | None = None,
    content: dict[str, Any] | None = None,
    **columns: Any,
) -> AIModel:
    """A model with a current price and perhaps an active price rule, its selling price computed and published.

    `content` is that of its schema, in place of the usual one.
    """
    model = make_model(endpoint_id, **columns)
    if content is not None:
        SchemaVersion.objects.filter(model=model).update(content=SchemaVersion.pack(content))
    PricePoint.objects.create(
        model=model, source=source, standing="current", unit=unit, raw_unit=unit, unit_price=unit_price, is_free=is_free
    )
    if rule is not None:
        PriceRule.objects.create(model=model, source="note", state="active", body=rule)
    recompute(model)
    model.refresh_from_db()
    return model


def recompute(*models: AIModel) -> int:
    """Computes offers anew, and lets this process see them."""
    changed = offers.recompute([model.pk for model in models] or None, reason="a test changed costs")
    published.forget()
    return changed


def add_rule(scope: str = "global", **values: Any) -> MarginRule:
    """Saves a margin rule as finance would, and lets this process see it; amounts as USD texts."""
    for name in ("fixed_price", "fee", "minimum"):
        if name in values:
            values[name] = parse_usd(values[name])
    rule = save_rule(Draft(scope, **values), actor=FINANCE)
    published.forget()
    return rule


def price_of_model(model: AIModel) -> str | None:
    """The amount that lists show now."""
    return AIModel.objects.get(pk=model.pk).price["amount"]
