"""Changing a hold: another model will run the job, which may cost something else and fall under other budgets."""

from __future__ import annotations

from django.conf import settings
from django.db import transaction

from genfeed.journal.audit import SYSTEM
from pricing.budgets.reserving import Reservation, budgets_of, reserve, spend
from pricing.ledger.holds import account_and_timezone, not_enough
from pricing.ledger.posting import ALWAYS, Movement, OnlyIf, post
from pricing.models import Account, Hold, LedgerTransaction


def rehold(wanted: Reservation, *, reference: str, reason: str) -> None:
    """Makes the open hold of a job what `wanted` says, in money and budgets; one row of the ledger says by how much.

    In the caller's transaction, which an ApiError (`insufficient_funds`, `budget_exceeded`) must undo, and as the last
    thing that it does. `reference` tells this change from others of the job. Raises Hold.DoesNotExist where none is
    open.
    """
    if not transaction.get_connection().in_atomic_block:
        raise transaction.TransactionManagementError("A change of a hold belongs in a transaction.")
    hold = Hold.objects.select_for_update().get(job=wanted.job, closed_at=None)
    account_id, timezone = account_and_timezone(wanted.client_id)
    # Of the time when it was opened: a job counts in the periods in which it was accepted.
    covering = budgets_of(wanted, timezone=timezone, now=hold.opened_at)
    more = wanted.amount - hold.amount
    enough = OnlyIf(usable=more) if more > 0 and settings.GENFEED_MODE == "cloud" else ALWAYS
    movement = Movement(
        LedgerTransaction.Kind.HOLD,
        available=-more,
        held=more,
        job=wanted.job,
        reference=reference,
        reason=reason,
    )
    if post(account_id, movement, actor=SYSTEM, only_if=enough) is None:
        raise not_enough(Account.objects.get(pk=account_id), more)
    spend(hold.budget_periods, reserved=hold.amount, spent=0)
    reserve(covering, wanted.amount)
    hold.amount, hold.budget_periods = wanted.amount, [one.period_id for one in covering]
    hold.save(update_fields=["amount", "budget_periods"])
