"""Prices, rules and margins in Django admin; importing the rooms registers their pages."""

from pricing.admin import (
    history,  # noqa: F401
    margins,  # noqa: F401
    prices,  # noqa: F401
    rules,  # noqa: F401
)
