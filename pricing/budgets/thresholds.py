"""Notices when a budget reaches 50, 80 or 100 % (or what it says): once a threshold and period."""

from __future__ import annotations

from collections.abc import Iterable

from genfeed.journal.alerts import raise_alert
from genfeed.journal.models import Alert, OutboxEvent
from pricing import sql
from pricing.budgets.reserving import Spent, describe
from pricing.models import BudgetPeriod
from pricing.money import format_usd

_MARK = "UPDATE pricing_budgetperiod SET told = %s WHERE id = %s AND told < %s"


def tell_thresholds(periods: Iterable[Spent]) -> None:
    """Tells staff and client what thresholds were reached, in the caller's transaction, after `spend` said so."""
    for one in periods:
        reached = reached_of(one.thresholds, spent=one.spent, limit=one.limit)
        # Whoever raises the mark tells.
        if reached > one.told and sql.changed(_MARK, reached, one.period_id, reached):
            _tell(BudgetPeriod.objects.select_related("budget__client", "budget__key").get(pk=one.period_id), reached)


def reached_of(thresholds: Iterable[int], *, spent: int, limit: int) -> int:
    """The highest threshold in percent that `spent` has reached; 0: none. In whole numbers, exact at the nano."""
    return max((one for one in thresholds if spent * 100 >= limit * one), default=0)


def _tell(row: BudgetPeriod, reached: int) -> None:
    budget = row.budget
    raise_alert(
        "budget_threshold",
        f"budget:{budget.pk}:{row.starts_at:%Y-%m-%d}",
        f"{budget.client.name}: {reached} % of the {describe(budget)} are spent",
        f"{format_usd(row.spent)} of {format_usd(budget.limit)} USD. "
        + ("Requests over it are refused." if budget.is_hard else "It only warns; requests go on."),
        level=Alert.Level.WARNING if reached >= 100 else Alert.Level.INFO,
        url=f"/admin/pricing/budget/{budget.pk}/change/",
    )
    OutboxEvent.objects.create(
        kind="budget.threshold_reached",
        subject=f"budget:{budget.pk}",
        client_id=budget.client_id,
        payload={
            "budget": budget.pk,
            "description": describe(budget),
            "threshold": reached,
            "limit": format_usd(budget.limit),
            "spent": format_usd(row.spent),
            "currency": "USD",
            "hard": budget.is_hard,
            "resets_at": row.ends_at.isoformat() if row.ends_at else None,
        },
    )
