"""GPU seconds by machine type: upper prices for endpoints that the provider bills by compute time."""

from __future__ import annotations

from decimal import Decimal

# USD per second. The highest price of a compute second among recorded rows of each machine type (fal Platform API,
# GET /models/pricing, 2026-05); of those that no recorded row names, fal's list price by the hour (fal.ai/pricing,
# 2026-09: H200 4.50, B200 6.25), rounded up. An endpoint's own row goes before this table.
GPU_SECOND_PRICES: dict[str, Decimal] = {
    "GPU-B200": Decimal("0.00174"),
    "GPU-H200": Decimal("0.00125"),
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
