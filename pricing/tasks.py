"""Entry points of the background worker. Schedules name these, so that what they call may move."""

from genfeed.journal import request_ids
from pricing.ledger import checking
from pricing.margins import rules as margin_rules
from pricing.prices import provider_estimates


def apply_margin_clock() -> int:
    """Every minute: publish what margin rules change that started or ended by the clock; returns how many did."""
    request_ids.begin()
    return margin_rules.apply_clock()


def ask_for_past_costs(limit: int) -> str:
    """Every ten minutes: ask the provider what calls of at most `limit` models have cost; returns what happened."""
    request_ids.begin()
    return provider_estimates.refresh_some(limit)


def check_ledger() -> str:
    """Once a day: prove the ledger, and raise an alert where it can't be."""
    request_ids.begin()
    return checking.check_and_alert()
