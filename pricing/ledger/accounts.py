"""Accounts: opened with their client, funded and put right by people, always with a reason."""

from __future__ import annotations

from typing import Any

from django.db import IntegrityError, connection, transaction
from django.db.models import F

from genfeed.journal.audit import Actor, Change, record
from pricing import sql
from pricing.ledger.posting import Movement, OnlyIf, post
from pricing.models import Account, LedgerTransaction
from pricing.money import NANO_PER_USD, NotMoney, format_usd

# A slip of a few zeros must not become money.
LARGEST = 10_000_000 * NANO_PER_USD
TERMS = ("funding", "credit_line", "billing", "charges_failures", "charges_cancels", "low_balance")


_TERMS_READ = ["id", "client_id", "billing", "charges_failures", "charges_cancels"]
_TERMS = "SELECT id, billing, charges_failures, charges_cancels FROM pricing_account WHERE client_id = %s"


class MoneyRefusedError(ValueError):
    """A movement or terms that can't be taken; the message says which value and why, for a person."""


def account_of(client_id: int) -> Account:
    """The client's account; opened, prepaid and empty, where there is none yet."""
    return Account.objects.get_or_create(client_id=client_id)[0]


def terms_account_of(client_id: int) -> Account:
    """The client's account with nothing but the terms that its jobs are charged on; the rest is read when asked for."""
    found = sql.rows(_TERMS, client_id)
    if not found:
        return account_of(client_id)
    key, billing, failures, cancels = found[0]
    return Account.from_db(connection.alias, _TERMS_READ, (key, client_id, billing, bool(failures), bool(cancels)))


def lock_account(client_id: int) -> None:
    """Waits until no other transaction has moved money of the client and not ended yet, and keeps others waiting.

    In the caller's transaction. On SQLite every transaction that writes has that by itself.
    """
    list(Account.objects.select_for_update().filter(client_id=client_id).values_list("pk"))


def top_up(client_id: int, amount: int, *, actor: Actor, reason: str, reference: str = "") -> LedgerTransaction:
    """Adds money that a client has paid. `reference` (an invoice, a payment) is booked once, whoever repeats it.

    `amount` in nano-USD, above 0. Raises MoneyRefusedError, and then nothing is written.
    """
    check_amount(amount)
    if amount <= 0:
        raise MoneyRefusedError("A top-up must be above 0; take money out by a correction.")
    return _fund(client_id, LedgerTransaction.Kind.TOP_UP, amount, actor=actor, reason=reason, reference=reference)


def correct_balance(
    client_id: int, amount: int, *, actor: Actor, reason: str, reference: str = ""
) -> LedgerTransaction:
    """Puts a balance right by `amount` nano-USD, up or down. What is held stays held.

    A correction down takes at most what is available. Raises MoneyRefusedError, and then nothing is written.
    """
    check_amount(amount)
    if amount == 0:
        raise MoneyRefusedError("A correction of 0 changes nothing.")
    return _fund(client_id, LedgerTransaction.Kind.CORRECTION, amount, actor=actor, reason=reason, reference=reference)


def forgive_debt(client_id: int, *, actor: Actor, reason: str) -> LedgerTransaction:
    """Writes off what a client owes: `available` below 0 comes back to 0, at our expense."""
    reason = _check_reason(reason)
    with transaction.atomic(durable=True):
        account = Account.objects.select_for_update().get(pk=account_of(client_id).pk)
        debt = -account.available
        if debt <= 0:
            raise MoneyRefusedError(f"{account.client} owes nothing.")
        movement = Movement(LedgerTransaction.Kind.WRITE_OFF, available=debt, funded=debt, loss=debt, reason=reason)
        booked = post(account.pk, movement, actor=actor)
        assert booked is not None  # noqa: S101 - there was no condition
        _audit(account, "account.debt_written_off", debt, actor=actor, reason=reason)
    return booked


def set_terms(client_id: int, *, actor: Actor, reason: str = "", **terms: Any) -> Account:
    """Sets terms of `TERMS` (amounts in nano-USD). Holds and quotes that exist already keep theirs.

    Raises MoneyRefusedError for a credit line below 0, one on a prepaid account, or one below what is owed now.
    """
    unknown = set(terms) - set(TERMS)
    if unknown:
        raise TypeError(f"no terms: {', '.join(sorted(unknown))}")
    with transaction.atomic(durable=True):
        account = Account.objects.select_for_update().get(pk=account_of(client_id).pk)
        before = {name: getattr(account, name) for name in terms if getattr(account, name) != terms[name]}
        for name, value in terms.items():
            setattr(account, name, value)
        _check_terms(account)
        if not before:
            return account
        if "low_balance" in before:
            account.low_balance_told_at = None
        # Only the terms: the amounts may have moved, and only `post` writes them.
        account.save(update_fields=[*before, "low_balance_told_at"])
        change = Change(account, before=before, after={name: terms[name] for name in before})
        record("account.terms_changed", [change], actor=actor, reason=reason)
    return account


def _check_terms(account: Account) -> None:
    if account.funding not in Account.Funding.values or account.billing not in Account.Billing.values:
        raise MoneyRefusedError("funding is prepaid or postpaid, billing is metered or quoted.")
    if isinstance(account.credit_line, bool) or not 0 <= account.credit_line <= LARGEST:
        raise MoneyRefusedError(f"The credit line must be 0 to {format_usd(LARGEST)} USD.")
    if account.funding == Account.Funding.PREPAID and account.credit_line:
        raise MoneyRefusedError("A prepaid account has no credit line; make it postpaid first.")
    if account.available < -account.credit_line:
        raise MoneyRefusedError(
            f"The client owes {format_usd(-account.available)} USD now; the credit line can't be below that. "
            "Let it pay first, or write the debt off."
        )
    if account.low_balance is not None and not 0 <= account.low_balance <= LARGEST:
        raise MoneyRefusedError(f"The threshold of the notice must be 0 to {format_usd(LARGEST)} USD.")


def _fund(
    client_id: int, kind: LedgerTransaction.Kind, amount: int, *, actor: Actor, reason: str, reference: str
) -> LedgerTransaction:
    reason = _check_reason(reason)
    try:
        with transaction.atomic(durable=True):
            account = account_of(client_id)
            movement = Movement(kind, available=amount, funded=amount, reason=reason, reference=reference.strip())
            room = OnlyIf(available=LARGEST - amount) if amount > 0 else OnlyIf(usable=-amount)
            booked = post(account.pk, movement, actor=actor, only_if=room)
            if booked is None:
                account.refresh_from_db()
                raise MoneyRefusedError(
                    f"{format_usd(amount)} USD can't be booked: {format_usd(account.available)} USD are available"
                    + (f", the credit line is {format_usd(account.credit_line)} USD." if account.credit_line else ".")
                )
            if amount > 0:
                # The next fall below the threshold is news again.
                Account.objects.filter(pk=account.pk, low_balance__lte=F("available")).update(low_balance_told_at=None)
            _audit(account, f"account.{kind}", amount, actor=actor, reason=reason)
    except IntegrityError as error:
        raise MoneyRefusedError(f"The reference {reference} was booked before; nothing was booked again.") from error
    return booked


def _audit(account: Account, action: str, amount: int, *, actor: Actor, reason: str) -> None:
    record(action, [Change(account, after={"amount": format_usd(amount)})], actor=actor, reason=reason)


def check_amount(amount: object) -> None:
    """Raises NotMoney for what is no whole nano-USD, MoneyRefusedError for more than anybody moves at once."""
    if isinstance(amount, bool) or not isinstance(amount, int):
        raise NotMoney(f"an amount is whole nano-USD, not {amount!r}")
    if abs(amount) > LARGEST:
        raise MoneyRefusedError(f"More than {format_usd(LARGEST)} USD at once is taken for a slip.")


def _check_reason(reason: str) -> str:
    reason = reason.strip()
    if not reason:
        raise MoneyRefusedError("Say why: the reason stays beside the movement for good.")
    return reason
