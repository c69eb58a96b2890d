"""Prices, rules and margins in Django admin; importing the rooms registers their pages."""

from pricing.admin import (
    prices,  # noqa: F401
    rules,  # noqa: F401
)
