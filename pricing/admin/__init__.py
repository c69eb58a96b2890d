"""Prices, rules and margins in Django admin; importing the rooms registers their pages."""

from pricing.admin import (
    accounts,  # noqa: F401
    budgets,  # noqa: F401
    calibrations,  # noqa: F401
    coverage,  # noqa: F401
    equivalences,  # noqa: F401
    existing,  # noqa: F401
    history,  # noqa: F401
    margins,  # noqa: F401
    prices,  # noqa: F401
    recommendations,  # noqa: F401
    reconciliation,  # noqa: F401
    refusals,  # noqa: F401
    rules,  # noqa: F401
    usage_records,  # noqa: F401
)
