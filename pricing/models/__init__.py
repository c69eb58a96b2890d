"""Money over the catalog: what the provider charges, the rules that say it better, and what we add."""

from pricing.models.existing import Calibration, Equivalence, ExistingModel
from pricing.models.margins import MarginClock, MarginRule, SellingPrice
from pricing.models.prices import ModelPricing, PricePoint, PriceRule, ProviderEstimate
from pricing.models.usage import ImmutableError, UsageRecord

__all__ = [
    "Calibration",
    "Equivalence",
    "ExistingModel",
    "ImmutableError",
    "MarginClock",
    "MarginRule",
    "ModelPricing",
    "PricePoint",
    "PriceRule",
    "ProviderEstimate",
    "SellingPrice",
    "UsageRecord",
]
