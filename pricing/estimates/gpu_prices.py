"""GPU seconds by machine type: upper prices for endpoints that the provider bills by compute time."""

from __future__ import annotations

from decimal import Decimal

# USD per second. The highest price of a compute second among recorded rows of each machine type (fal Platform API,
# GET /models/pricing, 2026-05); an endpoint's own row goes before this table.
GPU_SECOND_PRICES: dict[str, Decimal] = {
    "GPU-H100": Decimal("0.00125"),
    "GPU-A100": Decimal("0.00125"),
    "GPU-A6000": Decimal("0.00125"),
    "GPU": Decimal("0.00125"),
    "L": Decimal("0.00017"),
}


def second_price(machine_type: str | None, unit_price: Decimal | None) -> Decimal | None:
    """The price of one compute second: the row's where it has one, else the machine type's, else None."""
    if unit_price is not None and unit_price > 0:
        return unit_price
    return GPU_SECOND_PRICES.get(machine_type or "")
