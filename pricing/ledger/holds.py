"""Reserving money for a job before a provider is asked for anything: accepted with its money, or refused."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import datetime

from django.conf import settings
from django.utils import timezone

from genfeed.clients.errors import ApiError
from genfeed.journal.audit import SYSTEM
from pricing import sql
from pricing.budgets.reserving import Covering, Reservation, budgets_begun, budgets_of, reserve
from pricing.ledger.accounts import account_of
from pricing.ledger.posting import Movement, OnlyIf, post
from pricing.models import Account, Hold, LedgerTransaction
from pricing.money import format_usd

_FIND = """
SELECT a.id, c.timezone FROM pricing_account a JOIN clients_client c ON c.id = a.client_id WHERE a.client_id = %s
"""
_OPEN = """
INSERT INTO pricing_hold (job, account_id, amount, budget_periods, in_batch, opened_at)
VALUES (%s, %s, %s, %s, FALSE, %s) RETURNING id
"""


@dataclass(frozen=True, slots=True)
class Begun:
    """A hold that is written, and the budgets that it is to be reserved in: no money has moved yet."""

    hold: Hold
    covering: list[Covering]


def begin_hold(wanted: Reservation, *, now: datetime) -> Begun | None:
    """The part of `place_hold` that keeps nobody waiting, to be done before other locks are taken.

    None, and nothing is written, where a budget's period is to be opened: others may wait for that.
    """
    _check(wanted)
    account_id, timezone_name = account_and_timezone(wanted.client_id)
    covering = budgets_begun(wanted, timezone=timezone_name, now=now)
    return None if covering is None else _write(wanted, account_id, covering, now)


def place_hold(
    wanted: Reservation,
    *,
    max_in_flight: int,
    max_queued: int,
    now: datetime | None = None,
    begun: Begun | None = None,
) -> Hold:
    """Reserves money and budgets for a job, in the caller's transaction, which an ApiError must undo.

    1. Write the hold, by which the job's end finds amount and budgets again; `begun`: where that is done.
    2. Move the amount from `available` to `held`, if it is there and the client has a place in flight or in the queue.
    3. Reserve in every budget that covers the job; a hard one that would be passed refuses it.

    From 2 on, other jobs of the client wait for this transaction to end: let this be the last thing that it does.

    Raises ApiError `budget_exceeded`, `insufficient_funds`, `queue_full` or `too_many_in_flight`. In core mode there is
    no balance to look at: the user pays the provider; budgets and places count all the same.
    """
    if begun is None:
        _check(wanted)
        now = now or timezone.now()
        account_id, timezone_name = account_and_timezone(wanted.client_id)
        begun = _write(wanted, account_id, budgets_of(wanted, timezone=timezone_name, now=now), now)
    enough = OnlyIf(open_holds=max_in_flight + max_queued)
    if settings.GENFEED_MODE == "cloud":
        enough = replace(enough, usable=wanted.amount)
    movement = Movement(LedgerTransaction.Kind.HOLD, available=-wanted.amount, held=wanted.amount, job=wanted.job)
    if post(begun.hold.account_id, movement, actor=SYSTEM, only_if=enough, open_holds=1) is None:
        raise _refusal(wanted, max_in_flight=max_in_flight, max_queued=max_queued)
    reserve(begun.covering, wanted.amount)
    return begun.hold


def _check(wanted: Reservation) -> None:
    if wanted.amount < 0:
        raise ValueError(f"A hold can't be negative: {wanted.amount}")


def _write(wanted: Reservation, account_id: int, covering: list[Covering], now: datetime) -> Begun:
    periods = [one.period_id for one in covering]
    hold = Hold(job=wanted.job, account_id=account_id, amount=wanted.amount, budget_periods=periods, opened_at=now)
    ((hold.pk,),) = sql.rows(_OPEN, hold.job, account_id, hold.amount, json.dumps(periods), now)
    hold._state.adding = False
    return Begun(hold, covering)


def account_and_timezone(client_id: int) -> tuple[int, str]:
    """The id of the account and the time zone of the client; opens the account where there is none yet."""
    if found := sql.rows(_FIND, client_id):
        return found[0][0], found[0][1]
    account = account_of(client_id)
    return account.pk, account.client.timezone


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
    return not_enough(account, wanted.amount)


def not_enough(account: Account, amount: int) -> ApiError:
    """The refusal of a request that needs more (nano-USD) than the account has left."""
    usable = account.available + account.credit_line
    return ApiError(
        "insufficient_funds",
        f"This request needs {format_usd(amount)} USD reserved, and {format_usd(max(usable, 0))} USD are left.",
        "Top up the balance, or wait until running jobs end and give back what they do not use.",
        details={
            "needed": format_usd(amount),
            "available": format_usd(account.available),
            "credit_line": format_usd(account.credit_line),
            "held": format_usd(account.held),
        },
    )
