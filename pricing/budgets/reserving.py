"""Reserving in budgets with a hold, spending from them with its end; every step a conditional UPDATE."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from genfeed.clients.errors import ApiError
from pricing import sql
from pricing.budgets.periods import period_at
from pricing.models import Budget, BudgetPeriod
from pricing.money import format_usd

# The first moment of a period, and the first after it.
type Span = tuple[datetime, datetime | None]


@dataclass(frozen=True, slots=True)
class Reservation:
    """What a job needs reserved: `amount` in nano-USD, the quote's upper bound. `model_id` is the row's primary key."""

    client_id: int
    key_id: int | None
    job: str
    model_id: int
    category: str
    amount: int


# The active budgets that a job falls under, of its client, key, model, category, each with its period of now.
_COVERING = """
SELECT b.id, b."limit", b.is_hard, b.period, p.id
FROM pricing_budget b LEFT JOIN pricing_budgetperiod p
    ON p.budget_id = b.id AND p.starts_at = CASE b.period WHEN 'day' THEN %s WHEN 'month' THEN %s ELSE %s END
WHERE b.client_id = %s AND b.is_active AND (b.key_id IS NULL OR b.key_id = %s)
    AND (b.model_id IS NULL OR b.model_id = %s) AND (b.category = '' OR b.category = %s)
ORDER BY b.id
"""
_RESERVE = """
UPDATE pricing_budgetperiod AS p SET reserved = p.reserved + %s FROM ({}) AS wanted
WHERE p.id = wanted.period_id AND p.reserved + p.spent <= wanted.most RETURNING id
"""
_SPEND = """
UPDATE pricing_budgetperiod SET reserved = reserved - %s, spent = spent + %s WHERE id IN ({})
RETURNING id, spent, told, (SELECT b."limit" FROM pricing_budget b WHERE b.id = budget_id),
    (SELECT b.thresholds FROM pricing_budget b WHERE b.id = budget_id)
"""
_NO_LIMIT = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Covering:
    """A budget that a job falls under, by its period of now. `most`: what may be reserved and spent beside the job."""

    period_id: int
    most: int


def budgets_of(wanted: Reservation, *, timezone: str, now: datetime) -> list[Covering]:
    """The active budgets that a job falls under, in the order in which everybody takes them; opens their periods."""
    return [
        Covering(period_id or _open_period(budget_id, *span), most)
        for budget_id, span, period_id, most in _covering(wanted, timezone, now)
    ]


def budgets_begun(wanted: Reservation, *, timezone: str, now: datetime) -> list[Covering] | None:
    """As `budgets_of`, but writes nothing: None where a period is to be opened, which others may have to wait for."""
    found = _covering(wanted, timezone, now)
    begun = [Covering(period_id, most) for _, _, period_id, most in found if period_id is not None]
    return begun if len(begun) == len(found) else None


def _covering(wanted: Reservation, timezone: str, now: datetime) -> list[tuple[int, Span, int | None, int]]:
    """Each budget with the span of its period of now, the period's id if it is there, and `Covering.most`."""
    spans = {period: period_at(period, now, timezone) for period in Budget.Period.values}
    starts = [spans[period][0] for period in (Budget.Period.DAY, Budget.Period.MONTH, Budget.Period.TOTAL)]
    scope = (wanted.client_id, wanted.key_id, wanted.model_id, wanted.category)
    return [
        (budget_id, spans[period], period_id, limit - wanted.amount if is_hard else _NO_LIMIT)
        for budget_id, limit, is_hard, period, period_id in sql.rows(_COVERING, *starts, *scope)
    ]


def reserve(covering: Iterable[Covering], amount: int) -> None:
    """Reserves the amount (nano-USD) in every budget that covers a job.

    Raises ApiError `budget_exceeded`, which must undo the caller's transaction, where a hard one has too little left.
    Whoever reserves or spends has changed the client's account in the same transaction: its lock puts all of them in
    order, so that no two wait for each other.
    """
    wanted = list(covering)
    if not wanted:
        return
    # The limits as they were read: the UPDATE sees the newest amounts of the rows, whoever wrote them.
    table = " UNION ALL ".join(["SELECT %s AS period_id, %s AS most"] * len(wanted))
    pairs = [value for one in wanted for value in (one.period_id, one.most)]
    reserved = {period_id for (period_id,) in sql.rows(_RESERVE.format(table), amount, *pairs)}
    for one in wanted:
        if one.period_id not in reserved:
            raise _exceeded(one.period_id, amount)


def _open_period(budget_id: int, starts_at: datetime, ends_at: datetime | None) -> int:
    row, _ = BudgetPeriod.objects.get_or_create(budget_id=budget_id, starts_at=starts_at, defaults={"ends_at": ends_at})
    return row.pk


@dataclass(frozen=True, slots=True)
class Spent:
    """What a period has spent now (nano-USD), and what its budget says of that: limit and thresholds in percent."""

    period_id: int
    spent: int
    told: int
    limit: int
    thresholds: list[int]


def spend(period_ids: Iterable[int], *, reserved: int, spent: int) -> list[Spent]:
    """Ends a reservation: gives `reserved` back and counts what was `spent` (nano-USD; below 0 for a refund)."""
    keys = list(period_ids)
    found = sql.rows(_SPEND.format(", ".join(["%s"] * len(keys))), reserved, spent, *keys) if keys else []
    return [Spent(row_id, now, told, limit, json.loads(thresholds)) for row_id, now, told, limit, thresholds in found]


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
    return standings_of([budget], now=now)[0]


def standings_of(budgets: Iterable[Budget], *, now: datetime) -> list[BudgetStanding]:
    """Reads where budgets stand in the period of `now`, in one query; writes nothing."""
    spans = {budget: period_at(budget.period, now, budget.client.timezone) for budget in budgets}
    starts = {starts_at for starts_at, _ in spans.values()}
    rows = BudgetPeriod.objects.filter(budget__in=list(spans), starts_at__in=starts)
    found = {(row.budget_id, row.starts_at): (row.reserved, row.spent) for row in rows}
    standings = []
    for budget, (starts_at, ends_at) in spans.items():
        reserved, spent = found.get((budget.pk, starts_at), (0, 0))
        left = max(0, budget.limit - reserved - spent)
        standings.append(BudgetStanding(budget, reserved, spent, left, ends_at))
    return standings


def describe(budget: Budget) -> str:
    """What a budget is about, for its client: "daily budget for category text-to-image of key gf_abc…"."""
    words = {"day": "daily budget", "month": "monthly budget", "total": "total budget"}[budget.period]
    if budget.model:
        words += f" for {budget.model.endpoint_id}"
    elif budget.category:
        words += f" for category {budget.category}"
    return words + (f" of key {budget.key.prefix}…" if budget.key else "")


def _exceeded(period_id: int, amount: int) -> ApiError:
    row = BudgetPeriod.objects.select_related("budget__key", "budget__model").get(pk=period_id)
    budget = row.budget
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
