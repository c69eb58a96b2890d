"""Money over the catalog: what the provider charges, the rules that say it better, and what we add."""

from pricing.models.budgets import Budget, BudgetPeriod
from pricing.models.exchange import CloudCatalog, ExportedModel, ExportState, PastExport, RenderedExport
from pricing.models.existing import Calibration, Equivalence, ExistingModel
from pricing.models.ledger import Account, Hold, LedgerTransaction
from pricing.models.margins import MarginClock, MarginRule, SellingPrice
from pricing.models.prices import ModelPricing, PricePoint, PriceRule, ProviderEstimate
from pricing.models.recommending import EnablementPolicy, Recommendation, Refusal
from pricing.models.reconciliation import Bill, BillingEvent, ReconciliationRun, StrayRequest
from pricing.models.reports import (
    ClientCategoryDay,
    ClientCategoryMonth,
    ClientCountMonth,
    ClientDay,
    ClientMonth,
    CountDay,
    CountMonth,
    ModelCountMonth,
    ModelDay,
    ModelMonth,
    PairMonth,
    RollupState,
)
from pricing.models.usage import ImmutableError, UsageOfTest, UsageRecord

__all__ = [
    "Account",
    "Bill",
    "BillingEvent",
    "Budget",
    "BudgetPeriod",
    "Calibration",
    "ClientCategoryDay",
    "ClientCategoryMonth",
    "ClientCountMonth",
    "ClientDay",
    "ClientMonth",
    "CloudCatalog",
    "CountDay",
    "CountMonth",
    "EnablementPolicy",
    "Equivalence",
    "ExistingModel",
    "ExportState",
    "ExportedModel",
    "Hold",
    "ImmutableError",
    "LedgerTransaction",
    "MarginClock",
    "MarginRule",
    "ModelCountMonth",
    "ModelDay",
    "ModelMonth",
    "ModelPricing",
    "PairMonth",
    "PastExport",
    "PricePoint",
    "PriceRule",
    "ProviderEstimate",
    "Recommendation",
    "ReconciliationRun",
    "Refusal",
    "RenderedExport",
    "RollupState",
    "SellingPrice",
    "StrayRequest",
    "UsageOfTest",
    "UsageRecord",
]
