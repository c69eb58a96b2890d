"""Reserving money for a job before a provider is asked for anything: accepted with its money, or refused."""

from __future__ import annotations

from datetime import datetime

from django.conf import settings
from django.db.models import F, Q
from django.utils import timezone

from genfeed.clients.errors import ApiError
from genfeed.journal.audit import SYSTEM
from pricing.budgets.reserving import Reservation, reserve
from pricing.ledger.accounts import account_of
from pricing.ledger.posting import Movement, post
from pricing.models import Account, Hold, LedgerTransaction
from pricing.money import format_usd


def place_hold(wanted: Reservation, *, max_in_flight: int, max_queued: int, now: datetime | None = None) -> Hold:
    """Reserves money and budgets for a job, in the caller's transaction, which an ApiError must undo.

    1. Reserve in every budget that covers the job; a hard one that would be passed refuses it.
    2. Move the amount from `available` to `held`, if it is there and the client has a place in flight or in the queue.
    3. Write the hold, by which the job's end finds amount and budgets again.

    Raises ApiError `budget_exceeded`, `insufficient_funds`, `queue_full` or `too_many_in_flight`. In core mode there is
    no balance to look at: the user pays the provider; budgets and places count all the same.
    """
    now = now or timezone.now()
    if wanted.amount < 0:
        raise ValueError(f"A hold can't be negative: {wanted.amount}")
    account = account_of(wanted.client_id)
    periods = reserve(wanted, now=now)
    places = max_in_flight + max_queued
    enough = Q(open_holds__lt=places)
    if settings.GENFEED_MODE == "cloud":
        enough &= Q(available__gte=wanted.amount - F("credit_line"))
    movement = Movement(LedgerTransaction.Kind.HOLD, available=-wanted.amount, held=wanted.amount, job=wanted.job)
    if post(account.pk, movement, actor=SYSTEM, only_if=enough, open_holds=1) is None:
        raise _refusal(wanted, max_in_flight=max_in_flight, max_queued=max_queued)
    return Hold.objects.create(
        job=wanted.job, account=account, amount=wanted.amount, budget_periods=periods, opened_at=now
    )


def _refusal(wanted: Reservation, *, max_in_flight: int, max_queued: int) -> ApiError:
    account = Account.objects.get(client_id=wanted.client_id)
    if account.open_holds >= max_in_flight + max_queued:
        details = {"open_jobs": account.open_holds, "max_in_flight": max_in_flight, "max_queued": max_queued}
        if max_queued == 0:
            return ApiError(
                "too_many_in_flight",
                f"{account.open_holds} jobs are in flight, and {max_in_flight} may be.",
                "Wait until one has ended, or ask for a higher limit.",
                details=details,
                retry_after=2,
            )
        return ApiError(
            "queue_full",
            f"{account.open_holds} jobs are waiting or in flight, and {max_in_flight + max_queued} may be.",
            "Send the next job when one has ended, or ask for a higher limit.",
            details=details,
            retry_after=5,
        )
    usable = account.available + account.credit_line
    return ApiError(
        "insufficient_funds",
        f"This request needs {format_usd(wanted.amount)} USD reserved, and {format_usd(max(usable, 0))} USD are left.",
        "Top up the balance, or wait until running jobs end and give back what they do not use.",
        details={
            "needed": format_usd(wanted.amount),
            "available": format_usd(account.available),
            "credit_line": format_usd(account.credit_line),
            "held": format_usd(account.held),
        },
    )
