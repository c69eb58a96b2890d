"""The one place where an account changes: the balance and the ledger row that explains it, in one transaction."""

from __future__ import annotations

from dataclasses import dataclass

from django.db import transaction
from django.db.models import F, Q

from genfeed.journal.audit import Actor
from pricing.models import Account, LedgerTransaction


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


def post(
    account_id: int, movement: Movement, *, actor: Actor, only_if: Q | None = None, open_holds: int = 0
) -> LedgerTransaction | None:
    """Books a movement in the caller's transaction; None, and nothing written, where `only_if` does not hold.

    The condition is checked by the UPDATE itself, so no other process can come between. Raises IntegrityError where
    the same cause was booked before (job, kind and reference), which undoes the caller's transaction.
    """
    if not transaction.get_connection().in_atomic_block:
        raise transaction.TransactionManagementError("A movement of money belongs in a transaction.")
    if movement.available + movement.held + movement.spent != movement.funded:
        raise UnbalancedError(f"{movement} does not sum to zero")
    accounts = Account.objects.filter(pk=account_id)
    if only_if is not None:
        accounts = accounts.filter(only_if)
    changed = accounts.update(
        available=F("available") + movement.available,
        held=F("held") + movement.held,
        spent=F("spent") + movement.spent,
        funded=F("funded") + movement.funded,
        open_holds=F("open_holds") + open_holds,
    )
    if not changed:
        return None
    return LedgerTransaction.objects.create(
        account_id=account_id,
        kind=movement.kind,
        available=movement.available,
        held=movement.held,
        spent=movement.spent,
        funded=movement.funded,
        cost=movement.cost,
        loss=movement.loss,
        job=movement.job,
        reference=movement.reference[:120],
        reason=movement.reason[:500],
        actor_name=actor.name[:200],
    )
