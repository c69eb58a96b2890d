"""What a client pays: a model's costs put through the terms of a margin rule, as lists show it. Pure; no database."""

from decimal import Decimal
from typing import Any

from catalog.models import unknown_price
from catalog.offers import Offer
from pricing.margins.book import unit_terms
from pricing.margins.terms import Terms, price_of
from pricing.money import NotMoney, format_usd, to_nano
from pricing.selling.standing import Standing, State

LEGACY_NAMES = ("input", "output", "image", "video", "fixedPrice")
# Prices of a whole charge in the legacy shape; the others are prices of a part of one.
_WHOLE = ("image", "fixedPrice")
_PER_REQUEST = "requests"


def offer_of(standing: Standing, terms: Terms) -> Offer:
    """The offer that follows from costs and terms. An amount beyond all bounds is no offer: unknown, and not sold."""
    try:
        return Offer(shown_price(standing, terms), legacy_prices(standing, terms), standing.priced)
    except NotMoney:
        return Offer(unknown_price(), {}, False)


def shown_price(standing: Standing, terms: Terms) -> dict[str, Any]:
    """`{amount, unit, currency, state, varies}`: the price of one unit, without what falls due once a charge.

    A fixed price is one of a request, whatever the provider counts in.
    """
    if standing.state == State.UNKNOWN:
        return unknown_price()
    unit, amount, varies = standing.unit, None, standing.varies
    if terms.mode == "fixed":
        unit, amount, varies = _PER_REQUEST, price_of(0, terms), False
    elif standing.unit_cost is not None:
        amount = price_of(to_nano(Decimal(standing.unit_cost)), unit_terms(terms))
        if amount == 0 and Decimal(standing.unit_cost) > 0:
            # Less than a nano: no amount that can be shown, and certainly not nothing.
            amount = None
    text = None if amount is None else format_usd(amount)
    return unknown_price() | {"amount": text, "unit": unit, "state": str(standing.state), "varies": varies}


def legacy_prices(standing: Standing, terms: Terms) -> dict[str, float]:
    """Selling prices in the legacy shape; numbers there, and so floats, but made from exact amounts."""
    if standing.state == State.UNKNOWN or not standing.legacy:
        return {}
    if terms.mode == "fixed":
        return {"fixedPrice": _number(price_of(0, terms))}
    per_part = unit_terms(terms)
    prices = {
        name: price_of(to_nano(Decimal(cost)), terms if name in _WHOLE else per_part)
        for name, cost in standing.legacy.items()
    }
    return {name: _number(price) for name, price in prices.items() if price or standing.default_cost == 0}


def _number(nano: int) -> float:
    return float(format_usd(nano))
