"""The arithmetic of POST /v1/models/pricing/estimate."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from genfeed.sandbox.answers import PlatformError

QUANTITIES = {"historical_api_price": "call_quantity", "unit_price": "unit_quantity"}
SMALLEST_UNIT_QUANTITY = 1e-6
# How many units a call used on average in the sandbox's invented past.
USUAL_UNITS = {
    "seconds": Decimal(6),
    "megapixels": Decimal("1.05"),
    "compute seconds": Decimal("8.5"),
    "units": Decimal(40),
    "credits": Decimal("0.04"),
    "1000 characters": Decimal("0.35"),
    "steps": Decimal(1000),
    "minutes": Decimal("0.5"),
}


def total_cost(body: Any, price_of: Callable[[str], dict[str, Any]]) -> tuple[str, float]:
    """The kind of estimate and its total in USD, for either request body of the OpenAPI document.

    `price_of` gives an endpoint's price row and raises PlatformError (404) for one without; a body that the document
    does not allow raises PlatformError (400).
    """
    if not isinstance(body, dict) or body.get("estimate_type") not in QUANTITIES:
        raise PlatformError(400, f"Invalid request parameters: estimate_type must be one of {', '.join(QUANTITIES)}")
    kind = body["estimate_type"]
    endpoints = body.get("endpoints")
    if not isinstance(endpoints, dict) or not endpoints:
        raise PlatformError(400, "Invalid request parameters: endpoints must name at least one endpoint")
    quantities = {one: _quantity(entry, kind, one) for one, entry in endpoints.items()}
    total = sum((_cost(price_of(one), kind, quantity) for one, quantity in quantities.items()), Decimal(0))
    return kind, float(total)


def _cost(price: dict[str, Any], kind: str, quantity: Decimal) -> Decimal:
    units = quantity
    if kind == "historical_api_price":
        units *= USUAL_UNITS.get(price["unit"].strip().lower(), Decimal(1))
    return Decimal(str(price["unit_price"])) * units


def _quantity(entry: Any, kind: str, endpoint_id: str) -> Decimal:
    name = QUANTITIES[kind]
    value = entry.get(name) if isinstance(entry, dict) else None
    types = int if kind == "historical_api_price" else (int, float)
    least = 1 if kind == "historical_api_price" else SMALLEST_UNIT_QUANTITY
    if isinstance(value, bool) or not isinstance(value, types) or value < least:
        raise PlatformError(400, f"Invalid request parameters: {name} of {endpoint_id} must be {least:g} or more")
    return Decimal(str(value))
