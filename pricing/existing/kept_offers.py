"""The offers of the existing collection: its prices stand as they were imported, whatever margin rules would make."""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from catalog.models import unknown_price
from catalog.offers import Offer
from pricing.models import ExistingModel, ModelPricing
from pricing.money import NotMoney, format_decimal, parse_price
from pricing.selling.prices import LEGACY_NAMES

# Legacy price -> what one of it is for, in the order in which one of them stands for the model in lists.
_UNITS = (
    ("fixedPrice", "requests"), ("image", "images"), ("video", "seconds"), ("output", "1m tokens"),
    ("input", "1m tokens"),
)  # fmt: skip


def kept_offers(keys: Iterable[int] | None = None) -> dict[int, Offer]:
    """The offers of the models (by key; None: all) whose own price stands, in one query.

    A model whose owner has adopted the computed price, or that came without one, is not among them.
    """
    rows = ExistingModel.objects.filter(keeps_price=True)
    if keys is not None:
        rows = rows.filter(model__in=list(keys))
    offers = {key: kept_offer(pricing) for key, pricing in rows.values_list("model_id", "pricing")}
    return {key: offer for key, offer in offers.items() if offer.priced}


def kept_offer(pricing: Mapping[str, Any]) -> Offer:
    """The offer that a legacy price stands for (numbers or their texts, in USD); not priced where there is none."""
    numbers = {name: number for name in LEGACY_NAMES if (number := _price(pricing.get(name))) is not None}
    price = unknown_price()
    for name, unit in _UNITS:
        if name in numbers:
            amount = format_decimal(numbers[name])
            price |= {"amount": amount, "unit": unit, "state": str(ModelPricing.State.MANUAL)}
            # More than one price, or a price of something that a request can take several of.
            price["varies"] = len(numbers) > 1 or name != "fixedPrice"
            break
    return Offer(price, {name: float(number) for name, number in numbers.items()}, priced=bool(numbers))


def _price(value: Any) -> Decimal | None:
    try:
        return parse_price(value)
    except NotMoney:
        return None
