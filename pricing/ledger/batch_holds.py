"""Reserving money for many jobs of one client at once: as one hold each, by a few statements for all of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from django.conf import settings
from django.utils import timezone

from genfeed.clients.errors import ApiError
from genfeed.journal.audit import SYSTEM
from pricing.budgets.reserving import Covering, Reservation, budgets_of, reserve
from pricing.ledger.holds import account_and_timezone, not_enough
from pricing.ledger.posting import Movement, OnlyIf, post_all
from pricing.models import Account, Hold, LedgerTransaction


def place_batch_holds(wanted: Sequence[Reservation], *, most_open: int, now: datetime | None = None) -> None:
    """Reserves money and budgets for jobs of a batch, all or none, in the caller's transaction, which an ApiError must
    undo, to the savepoint before at least. All are of one client and key.

    They have places of their own: at most `most_open` jobs of batches are open, however many single ones are.
    Raises ApiError `budget_exceeded`, `insufficient_funds` or `queue_full`, which speaks of all of them together.
    """
    now = now or timezone.now()
    account_id, timezone_name = account_and_timezone(wanted[0].client_id)
    # Jobs of the same model fall under the same budgets.
    covering: dict[tuple[int, str], list[Covering]] = {}
    for one in wanted:
        if one.amount < 0:
            raise ValueError(f"A hold can't be negative: {one.amount}")
        if (one.model_id, one.category) not in covering:
            free = replace(one, amount=0)
            covering[one.model_id, one.category] = budgets_of(free, timezone=timezone_name, now=now)
    holds, needed = [], Counter[int]()
    for one in wanted:
        periods = [budget.period_id for budget in covering[one.model_id, one.category]]
        needed.update(dict.fromkeys(periods, one.amount))
        holds.append(
            Hold(
                job=one.job,
                account_id=account_id,
                amount=one.amount,
                budget_periods=periods,
                in_batch=True,
                opened_at=now,
            )
        )
    Hold.objects.bulk_create(holds)
    total = sum(one.amount for one in wanted)
    enough = OnlyIf(open_batch_holds=most_open - len(wanted) + 1)
    if settings.GENFEED_MODE == "cloud":
        enough = replace(enough, usable=total)
    movements = [
        Movement(LedgerTransaction.Kind.HOLD, available=-one.amount, held=one.amount, job=one.job) for one in wanted
    ]
    if not post_all(account_id, movements, actor=SYSTEM, only_if=enough, open_batch_holds=len(wanted)):
        raise _refusal(wanted, total, most_open)
    limits = {budget.period_id: budget.most for budgets in covering.values() for budget in budgets}
    for period_id in sorted(needed):
        amount = needed[period_id]
        reserve([Covering(period_id, limits[period_id] - amount)], amount)


def _refusal(wanted: Sequence[Reservation], total: int, most_open: int) -> ApiError:
    account = Account.objects.get(client_id=wanted[0].client_id)
    if account.open_batch_holds + len(wanted) > most_open:
        return ApiError(
            "queue_full",
            f"{account.open_batch_holds} jobs of batches are waiting or in flight, and {most_open} may be.",
            "Send the rest when some have ended, or ask for a higher limit.",
            details={"open_in_batches": account.open_batch_holds, "max_open_in_batches": most_open},
            retry_after=5,
        )
    return not_enough(account, total)
