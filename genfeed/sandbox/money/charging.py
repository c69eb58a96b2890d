"""The billed units of a finished request: variants are folded into the count, at the one price of the model's row."""

from decimal import Decimal
from functools import lru_cache

from genfeed.sandbox.builtin.prices import Pricing, read_pricing
from genfeed.sandbox.catalog import Model
from genfeed.sandbox.money.quantities import units_of
from genfeed.sandbox.money.variants import cost_of
from genfeed.sandbox.money.work import Work, decimal

# Where an app sets no units, the platform bills the seconds of the machine.
MACHINE_PRICE = Decimal("0.00111")
MACHINE_UNIT = "compute seconds"
EXACT = Decimal("0.00000001")


@lru_cache(maxsize=1)
def pricing() -> Pricing:
    """The table of variants."""
    return read_pricing()


def price_of(model: Model) -> tuple[Decimal, str]:
    """The price of one unit in USD, and the unit."""
    if model.price is None:
        return MACHINE_PRICE, MACHINE_UNIT
    return decimal(model.price["unit_price"]), model.price["unit"]


def billed_units(model: Model, work: Work, *, has_variants: bool) -> Decimal:
    """How many units a request is billed. `has_variants`: the model is a built-in one, whose table is known."""
    price, unit = price_of(model)
    rule = pricing().rule_of(model.endpoint_id, unit) if has_variants and model.price is not None else None
    if rule is not None and price > 0:
        units = cost_of(rule, work, price) / price
    else:
        rounds_up = "rounding up" in (model.billing_message or "") or "rounded up" in (model.price_note or "").lower()
        units = units_of(unit, work, endpoint_id=model.endpoint_id, rounds_up=rounds_up)
    return units.quantize(EXACT).normalize()


def shown_units(units: Decimal) -> str:
    """Units as the header has them: whole numbers without decimals, all others with eight."""
    return str(int(units)) if units == units.to_integral_value() else f"{units:.8f}"
