"""Reserving in budgets with a hold, spending from them with its end; every step a conditional UPDATE."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.db.models import F, Q

from genfeed.clients.errors import ApiError
from pricing.budgets.periods import period_at
from pricing.models import Budget, BudgetPeriod
from pricing.money import format_usd


@dataclass(frozen=True, slots=True)
class Reservation:
    """What a job needs reserved: `amount` in nano-USD, the quote's upper bound. `model_id` is the row's primary key."""

    client_id: int
    key_id: int | None
    job: str
    model_id: int
    category: str
    amount: int


def reserve(wanted: Reservation, *, now: datetime) -> list[int]:
    """Reserves the amount in every budget that covers the job; returns the ids of their periods, in the order taken.

    Raises ApiError `budget_exceeded`, which must undo the caller's transaction, where a hard one has too little left.
    Rows are taken in the order of the budgets' ids, here and in `spend`, so that no two jobs wait for each other.
    """
    found = []
    for budget in covering(wanted):
        row = _period(budget, now)
        periods = BudgetPeriod.objects.filter(pk=row.pk)
        if budget.is_hard:
            # The limit as it was read: the UPDATE sees the newest amounts of the row, whoever wrote them.
            periods = periods.filter(reserved__lte=budget.limit - wanted.amount - F("spent"))
        if not periods.update(reserved=F("reserved") + wanted.amount):
            row.refresh_from_db()
            raise _exceeded(budget, row, wanted.amount)
        found.append(row.pk)
    return found


def covering(wanted: Reservation) -> list[Budget]:
    """The active budgets that a job falls under, by id: of its client, key, model, category."""
    key = Q(key=None) | Q(key_id=wanted.key_id) if wanted.key_id else Q(key=None)
    return list(
        Budget.objects.filter(
            key,
            Q(model=None) | Q(model_id=wanted.model_id),
            Q(category="") | Q(category=wanted.category),
            client_id=wanted.client_id,
            is_active=True,
        )
        .select_related("client", "key", "model")
        .order_by("pk")
    )


def lock_periods(period_ids: Iterable[int]) -> None:
    """Locks periods in the order in which everybody takes them, for whoever must lock an account before it spends."""
    list(BudgetPeriod.objects.select_for_update().filter(pk__in=list(period_ids)).order_by("budget_id"))


def spend(period_ids: Iterable[int], *, reserved: int, spent: int) -> None:
    """Ends a reservation: gives `reserved` back and counts what was `spent` (nano-USD; below 0 for a refund)."""
    for period_id in period_ids:
        BudgetPeriod.objects.filter(pk=period_id).update(reserved=F("reserved") - reserved, spent=F("spent") + spent)


def _period(budget: Budget, now: datetime) -> BudgetPeriod:
    starts_at, ends_at = period_at(budget.period, now, budget.client.timezone)
    row = BudgetPeriod.objects.filter(budget=budget, starts_at=starts_at).first()
    if row is None:
        row, _ = BudgetPeriod.objects.get_or_create(budget=budget, starts_at=starts_at, defaults={"ends_at": ends_at})
    return row


@dataclass(frozen=True, slots=True)
class BudgetStanding:
    """Where a budget stands now: nano-USD reserved, spent and left, and when it begins anew (None: never)."""

    budget: Budget
    reserved: int
    spent: int
    left: int
    resets_at: datetime | None


def standing_of(budget: Budget, *, now: datetime) -> BudgetStanding:
    """Reads where a budget stands in the period of `now`; writes nothing."""
    starts_at, ends_at = period_at(budget.period, now, budget.client.timezone)
    row = BudgetPeriod.objects.filter(budget=budget, starts_at=starts_at).first()
    reserved, spent = (row.reserved, row.spent) if row else (0, 0)
    return BudgetStanding(budget, reserved, spent, max(0, budget.limit - reserved - spent), ends_at)


def describe(budget: Budget) -> str:
    """What a budget is about, for its client: "daily budget for category text-to-image of key gf_abc…"."""
    words = {"day": "daily budget", "month": "monthly budget", "total": "total budget"}[budget.period]
    if budget.model:
        words += f" for {budget.model.endpoint_id}"
    elif budget.category:
        words += f" for category {budget.category}"
    return words + (f" of key {budget.key.prefix}…" if budget.key else "")


def _exceeded(budget: Budget, row: BudgetPeriod, amount: int) -> ApiError:
    left = max(0, budget.limit - row.reserved - row.spent)
    until = f"It begins anew at {row.ends_at.isoformat()}. " if row.ends_at else ""
    return ApiError(
        "budget_exceeded",
        f"This request needs {format_usd(amount)} USD, and the {describe(budget)} ({format_usd(budget.limit)} USD) has "
        f"{format_usd(left)} USD left.",
        f"{until}Choose a cheaper request, wait for running jobs to end, or have the budget raised.",
        details={
            "budget": budget.pk,
            "limit": format_usd(budget.limit),
            "spent": format_usd(row.spent),
            "reserved": format_usd(row.reserved),
            "left": format_usd(left),
            "resets_at": row.ends_at.isoformat() if row.ends_at else None,
        },
    )
