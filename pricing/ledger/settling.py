"""The end of a hold: settled with a charge or released, exactly once, whoever comes and how often (M3)."""

from __future__ import annotations

import json
from dataclasses import dataclass

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from genfeed.journal.audit import SYSTEM
from pricing import sql
from pricing.budgets.reserving import spend
from pricing.budgets.thresholds import tell_thresholds
from pricing.ledger.losses import tell_loss
from pricing.ledger.posting import Movement, post
from pricing.models import Hold, LedgerTransaction
from pricing.money import format_usd


@dataclass(frozen=True, slots=True)
class Ended:
    """What became of a hold: `held` and `charge` in nano-USD, and what the operator bears of the cost (`loss`)."""

    held: int
    charge: int
    loss: int


@dataclass(frozen=True, slots=True)
class _Closed:
    account_id: int
    amount: int
    budget_periods: list[int]
    in_batch: bool


_CLOSE = """
UPDATE pricing_hold SET closed_at = %s WHERE job = %s AND closed_at IS NULL
RETURNING account_id, amount, budget_periods, in_batch
"""


def at_most(charge: int, held: int) -> int:
    """What is charged of `charge` where `held` was reserved, nano-USD: never more than that, as it was promised.

    In core mode nobody promised anything: the user pays the provider's bill, and budgets count what it says.
    """
    return charge if settings.GENFEED_MODE == "core" else min(charge, held)


def settle(job: str, *, charge: int, cost: int, tells_loss: bool = True) -> Ended | None:
    """Charges a job at most what is held for it, and gives the rest back; in the caller's transaction.

    `charge` is what the terms make of the bill, `cost` what the provider is owed, both nano-USD. Where either passes
    the hold, the hold is charged at most; what that leaves of the cost is the operator's loss, booked and alerted.
    `tells_loss`: a loss that was meant, as of runs of our own, is booked without an alert.
    None where the hold was closed before: then nothing is written. Raises Hold.DoesNotExist for a job without one.
    """
    if charge < 0 or cost < 0:
        raise ValueError(f"charge and cost can't be negative: {charge}, {cost}")
    hold = _close(job)
    if hold is None:
        return None
    charged = at_most(charge, hold.amount)
    is_over = max(charge, cost) > max(hold.amount, charged)
    loss = max(0, cost - charged) if is_over else 0
    movement = Movement(
        LedgerTransaction.Kind.SETTLE,
        held=-hold.amount,
        spent=charged,
        available=hold.amount - charged,
        cost=cost,
        loss=loss,
        job=job,
    )
    _book(hold, movement)
    budgets = spend(hold.budget_periods, reserved=hold.amount, spent=charged)
    if charged:
        tell_thresholds(budgets)
    if loss and tells_loss:
        tell_loss(job, f"it cost {format_usd(cost)} USD, and {format_usd(hold.amount)} USD were held", loss)
    return Ended(hold.amount, charged, loss)


def release(job: str, *, cost: int = 0, reason: str = "") -> Ended | None:
    """Gives a hold back whole; in the caller's transaction. What the provider billed all the same is our loss.

    None where the hold was closed before: then nothing is written. Raises Hold.DoesNotExist for a job without one.
    """
    if cost < 0:
        raise ValueError(f"cost can't be negative: {cost}")
    hold = _close(job)
    if hold is None:
        return None
    movement = Movement(
        LedgerTransaction.Kind.RELEASE,
        held=-hold.amount,
        available=hold.amount,
        cost=cost,
        loss=cost,
        job=job,
        reason=reason,
    )
    _book(hold, movement)
    spend(hold.budget_periods, reserved=hold.amount, spent=0)
    if cost:
        tell_loss(job, "it was released, and the provider billed it", cost)
    return Ended(hold.amount, 0, cost)


def _book(hold: _Closed, movement: Movement) -> None:
    """Books the end, and frees the place that the job had."""
    if hold.in_batch:
        post(hold.account_id, movement, actor=SYSTEM, open_batch_holds=-1)
    else:
        post(hold.account_id, movement, actor=SYSTEM, open_holds=-1)


def _close(job: str) -> _Closed | None:
    if not transaction.get_connection().in_atomic_block:
        raise transaction.TransactionManagementError("The end of a hold belongs in a transaction.")
    if found := sql.rows(_CLOSE, timezone.now(), job):
        account_id, amount, periods, in_batch = found[0]
        return _Closed(account_id, amount, json.loads(periods), bool(in_batch))
    # Closed before; or there never was one, which raises.
    Hold.objects.get(job=job)
    return None
