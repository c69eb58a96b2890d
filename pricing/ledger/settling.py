"""The end of a hold: settled with a charge or released, exactly once, whoever comes and how often (M3)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from genfeed.journal.audit import SYSTEM
from pricing import sql
from pricing.budgets.reserving import spend
from pricing.budgets.thresholds import tell_thresholds
from pricing.ledger.losses import tell_loss
from pricing.ledger.posting import Booking, Movement, post_each
from pricing.models import Hold, LedgerTransaction
from pricing.money import format_usd


@dataclass(frozen=True, slots=True)
class Ended:
    """What became of a hold: `held` and `charge` in nano-USD, and what the operator bears of the cost (`loss`)."""

    held: int
    charge: int
    loss: int


@dataclass(frozen=True, slots=True)
class Settlement:
    """How a job is to be settled, as `settle` takes it: `charge` and `cost` in nano-USD."""

    job: str
    charge: int
    cost: int
    tells_loss: bool = True


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
    return settle_each([Settlement(job, charge, cost, tells_loss)])[0]


def settle_each(settlements: Sequence[Settlement]) -> list[Ended | None]:
    """Charges several jobs, as `settle` does one; of each what `settle` returns.

    Whoever settles jobs of several clients names them in the order of the clients, whose accounts are locked in it.
    Raises ValueError for a negative amount, before anything is written, and Hold.DoesNotExist for a job without a hold.
    """
    for one in settlements:
        if one.charge < 0 or one.cost < 0:
            raise ValueError(f"charge and cost can't be negative: {one.charge}, {one.cost}")
    closed = _close([one.job for one in settlements])
    open_until_now = [(one, hold) for one, hold in zip(settlements, closed, strict=True) if hold]
    ended = {one.job: _outcome(one, hold) for one, hold in open_until_now}
    post_each([_booking(hold, _charging(one, hold, ended[one.job])) for one, hold in open_until_now], actor=SYSTEM)
    for one, hold in open_until_now:
        end = ended[one.job]
        budgets = spend(hold.budget_periods, reserved=hold.amount, spent=end.charge)
        if end.charge:
            tell_thresholds(budgets)
        if end.loss and one.tells_loss:
            held = format_usd(hold.amount)
            tell_loss(one.job, f"it cost {format_usd(one.cost)} USD, and {held} USD were held", end.loss)
    return [ended[one.job] if hold else None for one, hold in zip(settlements, closed, strict=True)]


def _outcome(one: Settlement, hold: _Closed) -> Ended:
    charged = at_most(one.charge, hold.amount)
    is_over = max(one.charge, one.cost) > max(hold.amount, charged)
    return Ended(hold.amount, charged, max(0, one.cost - charged) if is_over else 0)


def _charging(one: Settlement, hold: _Closed, end: Ended) -> Movement:
    return Movement(
        LedgerTransaction.Kind.SETTLE,
        held=-hold.amount,
        spent=end.charge,
        available=hold.amount - end.charge,
        cost=one.cost,
        loss=end.loss,
        job=one.job,
    )


def release(job: str, *, cost: int = 0, reason: str = "") -> Ended | None:
    """Gives a hold back whole; in the caller's transaction. What the provider billed all the same is our loss.

    None where the hold was closed before: then nothing is written. Raises Hold.DoesNotExist for a job without one.
    """
    if cost < 0:
        raise ValueError(f"cost can't be negative: {cost}")
    (hold,) = _close([job])
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
    post_each([_booking(hold, movement)], actor=SYSTEM)
    spend(hold.budget_periods, reserved=hold.amount, spent=0)
    if cost:
        tell_loss(job, "it was released, and the provider billed it", cost)
    return Ended(hold.amount, 0, cost)


def _booking(hold: _Closed, movement: Movement) -> Booking:
    """The end of a hold, which frees the place that the job had."""
    if hold.in_batch:
        return Booking(hold.account_id, movement, open_batch_holds=-1)
    return Booking(hold.account_id, movement, open_holds=-1)


def _close(jobs: Sequence[str]) -> list[_Closed | None]:
    """Closes the holds of jobs; None for one that was closed before."""
    if not transaction.get_connection().in_atomic_block:
        raise transaction.TransactionManagementError("The end of a hold belongs in a transaction.")
    now = timezone.now()
    closed: list[_Closed | None] = []
    for job, found in zip(jobs, sql.rows_each(_CLOSE, [(now, job) for job in jobs]), strict=True):
        if found:
            account_id, amount, periods, in_batch = found[0]
            closed.append(_Closed(account_id, amount, json.loads(periods), bool(in_batch)))
        else:
            # Closed before; or there never was one, which raises.
            Hold.objects.get(job=job)
            closed.append(None)
    return closed
