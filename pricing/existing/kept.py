"""The prices of the existing collection: they stand as they were imported, whatever margin rules would make of them."""

from collections.abc import Iterable, Mapping

from catalog.models import unknown_price
from catalog.offers import Offer
from pricing.models import ExistingModel
from pricing.money import format_decimal, parse_price

# Legacy price -> what one of it is for, in the order in which one of them stands for the model in lists.
PRICE_UNITS: dict[str, str] = {
    "fixedPrice": "requests",
    "image": "images",
    "video": "seconds",
    "output": "1m tokens",
    "input": "1m tokens",
}


def kept_offers(keys: Iterable[int] | None = None) -> dict[int, Offer]:
    """The offers of models (by key; None: all) whose own price stands, in one query.

    Whoever computes offers takes these instead of what margin rules say. A model whose owner has adopted the computed
    price, or that never had one, is not among them.
    """
    rows = ExistingModel.objects.filter(keeps_price=True).values_list("model_id", "pricing")
    chosen = None if keys is None else set(keys)
    # All are read and the wanted ones picked: a list of keys can be longer than what a query may name.
    return {key: kept_offer(pricing) for key, pricing in rows if pricing and (chosen is None or key in chosen)}


def kept_offer(pricing: Mapping[str, str]) -> Offer:
    """The offer that stands for a legacy price (number texts in USD, as importing checked them)."""
    price = unknown_price()
    for name, unit in PRICE_UNITS.items():
        if name in pricing:
            amount = format_decimal(parse_price(pricing[name]))
            price |= {"amount": amount, "unit": unit, "state": "manual", "varies": len(pricing) > 1}
            break
    numbers = {name: float(pricing[name]) for name in PRICE_UNITS if name in pricing}
    return Offer(price=price, legacy_pricing=numbers, priced=bool(numbers))
