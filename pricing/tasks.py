"""Entry points of the background worker. Schedules name these, so that what they call may move."""

from catalog.providers import base
from genfeed.journal import request_ids
from pricing.exchange import rendering
from pricing.ledger import checking
from pricing.margins import rules as margin_rules
from pricing.prices import provider_estimates
from pricing.reconciling import reconcile as reconciling
from pricing.reconciling.runs import AlreadyRunningError
from pricing.reports import policy, refusals, rollups
from pricing.selling import losses


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


def tell_losses() -> int:
    """Every hour: tell staff of models that are sold below their cost; returns how many are."""
    request_ids.begin()
    return losses.tell_losses()


def roll_up_usage() -> int:
    """Every five minutes: bring the sums that reports read up to date; returns how many days were made anew."""
    request_ids.begin()
    return rollups.roll_up()


def recommend() -> str:
    """Once a day: make the recommendations anew, and let the policy act where it is on; returns what happened."""
    request_ids.begin()
    rollups.roll_up()
    refusals.forget_old()
    return policy.run()


def reconcile(provider: str = "", trigger: str = "schedule", requested_by: str = "", deep: bool = False) -> str:
    """Every hour: bring the books to the providers' bills (one provider's, where it is named); what happened."""
    request_ids.begin()
    results = []
    for slug in [provider] if provider else [entry.slug for entry in base.in_use()]:
        try:
            run = reconciling.reconcile(slug, trigger=trigger, requested_by=requested_by, deep=deep)
            results.append(f"{slug}: {run.status}")
        except base.ProviderNotConfiguredError:
            results.append(f"{slug}: not configured")
        except AlreadyRunningError:
            results.append(f"{slug}: already running")
    return ", ".join(results)


def refresh_export() -> str:
    """Every ten minutes: bring the catalog for other installations up to date, once one has asked for it."""
    request_ids.begin()
    if rendering.newest() is None:
        return "nobody has asked for it yet"
    export = rendering.refresh()
    return f"export {export.revision}" if export else "the catalog is empty"
