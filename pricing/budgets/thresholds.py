"""Notices when a budget reaches 50, 80 or 100 % (or what it says): once a threshold and period."""

from __future__ import annotations

from collections.abc import Iterable

from genfeed.journal.alerts import raise_alert
from genfeed.journal.models import Alert, OutboxEvent
from pricing.budgets.reserving import describe
from pricing.models import BudgetPeriod
from pricing.money import format_usd


def tell_thresholds(period_ids: Iterable[int]) -> None:
    """Tells staff and client what thresholds were reached, in the caller's transaction, right after `spend`."""
    for row in BudgetPeriod.objects.filter(pk__in=list(period_ids)).select_related("budget__client", "budget__key"):
        limit = row.budget.limit
        # Whole numbers: spent * 100 >= limit * threshold.
        reached = max((one for one in row.budget.thresholds if row.spent * 100 >= limit * one), default=0)
        if reached <= row.told:
            continue
        # Whoever raises the mark tells.
        if BudgetPeriod.objects.filter(pk=row.pk, told__lt=reached).update(told=reached):
            _tell(row, reached)


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
