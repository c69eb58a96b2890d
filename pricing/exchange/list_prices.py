"""Which of our prices are the provider's list prices, and may be told to others.

A provider's price list may show an account its own discounts, without saying so; its bills say. So a price goes out as
it is where bills are read and none shows a discount, where the provider tells everybody the same prices, or where the
operator says so (PRICES_ARE_LIST_PRICES). Otherwise a price goes out only where a bill proves the list price: as it is,
or grossed up. What is learned from bills or set by hand stays here in any case.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from django.conf import settings

from catalog.models import Provider
from catalog.providers import base
from pricing.counting.units import normalise_unit
from pricing.models import BillingEvent, PricePoint
from pricing.money import format_decimal


@dataclass(frozen=True)
class Billed:
    """What the newest bill of a model says: its unit, the list price of one, and the discount on it in percent."""

    unit: str
    unit_price: Decimal | None
    discount: Decimal


@dataclass(frozen=True)
class Bills:
    """The newest bills of an account by endpoint id, and whether each price needs one as its proof."""

    by_id: dict[str, Billed]
    needs_proof: bool


@dataclass(frozen=True)
class Told:
    """A list price (USD or whatever `currency` says), or None; `withheld`: there is one that can't be told."""

    unit: str = ""
    unit_price: str | None = None
    currency: str = "USD"
    withheld: bool = False


def read_bills(provider: Provider) -> Bills:
    """The newest bill of each model of a provider. Without any bill nothing is known of an account's discounts."""
    newest: dict[str, Billed] = {}
    has_discounts = False
    rows = BillingEvent.objects.filter(provider=provider, superseded=False).order_by("at", "pk")
    for endpoint_id, unit, price, percent, discount in rows.values_list(
        "endpoint_id", "unit", "unit_price", "percent_discount", "discount"
    ).iterator(chunk_size=5000):
        share = Decimal(percent or 0)
        # A discount that is not said in percent is one all the same, and can't be taken off.
        unclear = discount > 0 and not share
        newest[endpoint_id] = Billed(unit, Decimal(price) if price and not unclear else None, share)
        has_discounts |= share > 0 or unclear
    is_unknown = not newest and not settings.PRICES_ARE_LIST_PRICES and not base.has_public_prices(provider.slug)
    return Bills(newest, has_discounts or is_unknown)


def list_price(points: Iterable[PricePoint], endpoint_id: str, bills: Bills) -> Told:
    """The list price among a model's points (of the provider's price list, newest first)."""
    point = next((one for one in points if one.standing in _TRUSTED), None)
    if point is None:
        return Told()
    told = Told(point.raw_unit or point.unit, point.unit_price, point.currency)
    if not bills.needs_proof:
        return told
    billed = bills.by_id.get(endpoint_id)
    proven = billed.unit_price if billed and normalise_unit(billed.unit) in ("", point.unit) else None
    if billed is None or proven is None or point.currency != "USD":
        return Told(withheld=True)
    ours = Decimal(point.unit_price)
    if ours == proven or _close(ours, proven * (100 - billed.discount) / 100):
        return Told(told.unit, format_decimal(proven), told.currency)
    return Told(withheld=True)


# A held price is one that nobody has believed yet.
_TRUSTED = (PricePoint.Standing.CURRENT, PricePoint.Standing.PAST)


def _close(one: Decimal, other: Decimal) -> bool:
    """Equal but for the rounding of a price list."""
    return abs(one - other) <= max(one, other) / 1000
