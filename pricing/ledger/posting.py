"""The one place where an account changes: the balance and the ledger row that explains it, in one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db import connection, transaction
from django.utils import timezone

from genfeed.journal.audit import Actor
from pricing import sql
from pricing.ledger.low_balance import tell_low_balance
from pricing.models import LedgerTransaction


class UnbalancedError(Exception):
    """A movement whose entries do not sum to zero: a mistake in the code, never in a request."""


@dataclass(frozen=True, slots=True)
class Movement:
    """The entries of one ledger transaction in nano-USD: `available + held + spent` must equal `funded`."""

    kind: str
    available: int = 0
    held: int = 0
    spent: int = 0
    funded: int = 0
    cost: int = 0
    loss: int = 0
    job: str = ""
    reference: str = ""
    reason: str = ""


# No amount is ever near it, and no sum with it leaves 64 bits.
_NO_BOUND = 2**62
_MOVE = """
UPDATE pricing_account SET
    available = available + %s, held = held + %s, spent = spent + %s, funded = funded + %s,
    open_holds = open_holds + %s, open_batch_holds = open_batch_holds + %s
WHERE id = %s AND available >= %s - credit_line AND available <= %s AND open_holds < %s AND open_batch_holds < %s
RETURNING available, low_balance, low_balance_told_at
"""
_EXPLAIN = """
INSERT INTO pricing_ledgertransaction
    (account_id, at, kind, job, reference, available, held, spent, funded, cost, loss, reason, actor_name)
{} %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s{} RETURNING id
"""
# PostgreSQL does both at once.
_MOVE_AND_EXPLAIN = f"""
WITH moved AS ({_MOVE.replace("RETURNING", "RETURNING id,")}), told AS ({_EXPLAIN.format("SELECT id,", " FROM moved")})
SELECT told.id, moved.available, moved.low_balance, moved.low_balance_told_at FROM moved, told
"""  # noqa: S608 - made of the two statements above


@dataclass(frozen=True, slots=True)
class OnlyIf:
    """What must hold of an account for a movement to be booked, checked by the very UPDATE that books it.

    `usable`: at least so much is available, the credit line included; `available`: at most so much is; `open_holds`
    and `open_batch_holds`: fewer than so many are open.
    """

    usable: int = -_NO_BOUND
    available: int = _NO_BOUND
    open_holds: int = _NO_BOUND
    open_batch_holds: int = _NO_BOUND


ALWAYS = OnlyIf()


@dataclass(frozen=True, slots=True)
class Booking:
    """A movement of an account; `only_if` and the changes of its open holds go with it."""

    account_id: int
    movement: Movement
    only_if: OnlyIf = ALWAYS
    open_holds: int = 0
    open_batch_holds: int = 0


def post(
    account_id: int,
    movement: Movement,
    *,
    actor: Actor,
    only_if: OnlyIf = ALWAYS,
    open_holds: int = 0,
    open_batch_holds: int = 0,
) -> LedgerTransaction | None:
    """Books a movement in the caller's transaction; None, and nothing written, where `only_if` does not hold.

    No other process can come between the condition and the change. A charge that leaves less than the client's
    threshold is told, once. Raises IntegrityError where the same cause was booked before (job, kind and reference),
    which undoes the caller's transaction.
    """
    return post_each([Booking(account_id, movement, only_if, open_holds, open_batch_holds)], actor=actor)[0]


def post_each(bookings: Sequence[Booking], *, actor: Actor) -> list[LedgerTransaction | None]:
    """Books movements one after the other, as `post` does one; of each what `post` returns, and it raises the same.

    PostgreSQL is asked once for all: while a client's rows are locked, every way to the database and back counts.
    """
    for booking in bookings:
        _check(booking.movement)
    told = [_row(booking.account_id, booking.movement, actor) for booking in bookings]
    for booking, row, found in zip(bookings, told, _book(bookings, told), strict=True):
        if found is None:
            continue
        row.pk, available, threshold, told_at = found
        row._state.adding = False
        # A hold may come back; what was charged does not.
        if booking.movement.spent > 0 and threshold is not None and available < threshold and told_at is None:
            tell_low_balance(booking.account_id)
    return [row if row.pk else None for row in told]


def post_all(
    account_id: int, movements: Sequence[Movement], *, actor: Actor, only_if: OnlyIf, open_batch_holds: int
) -> bool:
    """Books many movements that charge nothing, all or none, as `post` does one; False where `only_if` does not hold.

    `only_if` is asked of the account as it was before all of them.
    """
    for movement in movements:
        _check(movement)
        if movement.spent or movement.funded:
            raise ValueError(f"{movement} charges or funds; book it by itself")
    sums = (sum(one.available for one in movements), sum(one.held for one in movements), 0, 0)
    if not sql.rows(_MOVE, *sums, 0, open_batch_holds, account_id, *_bounds(only_if)):
        return False
    LedgerTransaction.objects.bulk_create([_row(account_id, movement, actor) for movement in movements])
    return True


def _check(movement: Movement) -> None:
    if not transaction.get_connection().in_atomic_block:
        raise transaction.TransactionManagementError("A movement of money belongs in a transaction.")
    if movement.available + movement.held + movement.spent != movement.funded:
        raise UnbalancedError(f"{movement} does not sum to zero")


def _bounds(only_if: OnlyIf) -> tuple[int, ...]:
    return (only_if.usable, only_if.available, only_if.open_holds, only_if.open_batch_holds)


def _row(account_id: int, movement: Movement, actor: Actor) -> LedgerTransaction:
    return LedgerTransaction(
        account_id=account_id,
        at=timezone.now(),
        kind=movement.kind,
        job=movement.job,
        reference=movement.reference[:120],
        available=movement.available,
        held=movement.held,
        spent=movement.spent,
        funded=movement.funded,
        cost=movement.cost,
        loss=movement.loss,
        reason=movement.reason[:500],
        actor_name=actor.name[:200],
    )


def _book(bookings: Sequence[Booking], told: Sequence[LedgerTransaction]) -> list[tuple[Any, ...] | None]:
    """Changes the accounts and writes the rows of the ledger: their ids, then balance, threshold, when it was told."""
    changes = [_change(booking) for booking in bookings]
    said = [_said(row) for row in told]
    if connection.vendor == "postgresql":
        found = sql.rows_each(_MOVE_AND_EXPLAIN, [(*one, *other) for one, other in zip(changes, said, strict=True)])
        return [rows[0] if rows else None for rows in found]
    return [_book_one(*one) for one in zip(bookings, changes, said, strict=True)]


def _book_one(booking: Booking, change: tuple[Any, ...], said: tuple[Any, ...]) -> tuple[Any, ...] | None:
    moved = sql.rows(_MOVE, *change)
    if not moved:
        return None
    ((key,),) = sql.rows(_EXPLAIN.format("VALUES (%s,", ")"), booking.account_id, *said)
    return (key, *moved[0])


def _change(booking: Booking) -> tuple[Any, ...]:
    move = booking.movement
    amounts = (move.available, move.held, move.spent, move.funded)
    return (
        *amounts,
        booking.open_holds,
        booking.open_batch_holds,
        booking.account_id,
        *_bounds(booking.only_if),
    )


def _said(row: LedgerTransaction) -> tuple[Any, ...]:
    amounts = (row.available, row.held, row.spent, row.funded)
    return (row.at, str(row.kind), row.job, row.reference, *amounts, row.cost, row.loss, row.reason, row.actor_name)
