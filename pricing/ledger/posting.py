"""The one place where an account changes: the balance and the ledger row that explains it, in one transaction."""

from __future__ import annotations

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
    available = available + %s, held = held + %s, spent = spent + %s, funded = funded + %s, open_holds = open_holds + %s
WHERE id = %s AND available >= %s - credit_line AND available <= %s AND open_holds < %s
RETURNING available, low_balance, low_balance_told_at
"""
_EXPLAIN = """
INSERT INTO pricing_ledgertransaction
    (account_id, at, kind, job, reference, available, held, spent, funded, cost, loss, reason, actor_name)
{} %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s{} RETURNING id
"""
# PostgreSQL does both at once: while a client's rows are locked, every way to the database and back counts.
_MOVE_AND_EXPLAIN = f"""
WITH moved AS ({_MOVE.replace("RETURNING", "RETURNING id,")}), told AS ({_EXPLAIN.format("SELECT id,", " FROM moved")})
SELECT told.id, moved.available, moved.low_balance, moved.low_balance_told_at FROM moved, told
"""  # noqa: S608 - made of the two statements above


@dataclass(frozen=True, slots=True)
class OnlyIf:
    """What must hold of an account for a movement to be booked, checked by the very UPDATE that books it.

    `usable`: at least so much is available, the credit line included; `available`: at most so much is; `open_holds`:
    fewer than so many are open.
    """

    usable: int = -_NO_BOUND
    available: int = _NO_BOUND
    open_holds: int = _NO_BOUND


ALWAYS = OnlyIf()


def post(
    account_id: int, movement: Movement, *, actor: Actor, only_if: OnlyIf = ALWAYS, open_holds: int = 0
) -> LedgerTransaction | None:
    """Books a movement in the caller's transaction; None, and nothing written, where `only_if` does not hold.

    No other process can come between the condition and the change. A charge that leaves less than the client's
    threshold is told, once. Raises IntegrityError where the same cause was booked before (job, kind and reference),
    which undoes the caller's transaction.
    """
    if not transaction.get_connection().in_atomic_block:
        raise transaction.TransactionManagementError("A movement of money belongs in a transaction.")
    if movement.available + movement.held + movement.spent != movement.funded:
        raise UnbalancedError(f"{movement} does not sum to zero")
    amounts = (movement.available, movement.held, movement.spent, movement.funded)
    bounds = (only_if.usable, only_if.available, only_if.open_holds)
    row = LedgerTransaction(
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
    change = (*amounts, open_holds, account_id, *bounds)
    said = (row.at, str(row.kind), row.job, row.reference, *amounts, row.cost, row.loss, row.reason, row.actor_name)
    booked = _book(account_id, change, said)
    if booked is None:
        return None
    row.pk, available, threshold, told_at = booked
    row._state.adding = False
    # A hold may come back; what was charged does not.
    if movement.spent > 0 and threshold is not None and available < threshold and told_at is None:
        tell_low_balance(account_id)
    return row


def _book(account_id: int, change: tuple[Any, ...], said: tuple[Any, ...]) -> tuple[Any, ...] | None:
    """Changes the account and writes the row of the ledger: its id, then balance, threshold and when it was told."""
    if connection.vendor == "postgresql":
        found = sql.rows(_MOVE_AND_EXPLAIN, *change, *said)
        return found[0] if found else None
    moved = sql.rows(_MOVE, *change)
    if not moved:
        return None
    ((key,),) = sql.rows(_EXPLAIN.format("VALUES (%s,", ")"), account_id, *said)
    return (key, *moved[0])
