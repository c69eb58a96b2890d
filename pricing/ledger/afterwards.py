"""What happens to a job's money after its end: refunds by people, corrections by bills that come late."""

from __future__ import annotations

from django.db import IntegrityError, transaction
from django.db.models import Sum

from genfeed.journal.audit import SYSTEM, Actor, Change, record
from pricing.budgets.reserving import spend
from pricing.ledger.accounts import MoneyRefusedError
from pricing.ledger.posting import Movement, post
from pricing.models import Account, Hold, LedgerTransaction
from pricing.money import format_usd


def charged_for(job: str) -> int:
    """What a job was charged in the end, in nano-USD: its settlement, corrections and refunds together."""
    return LedgerTransaction.objects.filter(job=job).aggregate(total=Sum("spent"))["total"] or 0


def cost_of(job: str) -> int:
    """What the provider is owed for a job as far as is known, in nano-USD."""
    return LedgerTransaction.objects.filter(job=job).aggregate(total=Sum("cost"))["total"] or 0


def refund(job: str, amount: int, *, actor: Actor, reason: str, reference: str) -> LedgerTransaction:
    """Gives back `amount` nano-USD of what a job was charged; `reference` makes a repeated request one refund.

    Raises MoneyRefusedError, and then nothing is written: no reason, more than was charged, a job that has not ended.
    """
    if not reason.strip():
        raise MoneyRefusedError("Say why: the reason stays beside the refund for good.")
    if isinstance(amount, bool) or not isinstance(amount, int) or amount <= 0:
        raise MoneyRefusedError("A refund must be above 0.")
    with transaction.atomic():
        hold, account = _ended(job)
        before = LedgerTransaction.objects.filter(job=job, kind=LedgerTransaction.Kind.REFUND, reference=reference)
        if repeated := before.first():
            return repeated
        charged = charged_for(job)
        if amount > charged:
            raise MoneyRefusedError(f"{job} was charged {format_usd(charged)} USD; no more can be given back.")
        spend(hold.budget_periods, reserved=0, spent=-amount)
        movement = Movement(
            LedgerTransaction.Kind.REFUND,
            available=amount,
            spent=-amount,
            job=job,
            reference=reference,
            reason=reason.strip(),
        )
        booked = post(account.pk, movement, actor=actor)
        assert booked is not None  # noqa: S101 - there was no condition
        change = Change(account, after={"job": job, "amount": format_usd(amount)})
        record("account.refund", [change], actor=actor, reason=reason)
    return booked


def correct(
    job: str, *, charge: int, cost: int, reference: str, reason: str, actor: Actor = SYSTEM
) -> LedgerTransaction | None:
    """Brings charge and cost of an ended job to what a later bill says, by one new ledger row for `reference`.

    `charge` and `cost` are what they should be in the end, in nano-USD; refunds already given stay given. The charge
    never passes the hold, and never takes more than the client can pay: what is left of the cost is our loss.
    None where nothing differs or the reference was booked before. Raises Hold.DoesNotExist for an unknown job.
    """
    with transaction.atomic():
        hold, account = _ended(job)
        rows = LedgerTransaction.objects.filter(job=job)
        if rows.filter(kind=LedgerTransaction.Kind.CORRECTION, reference=reference).exists():
            return None
        now = rows.aggregate(spent=Sum("spent"), cost=Sum("cost"), loss=Sum("loss"))
        refunded = -(rows.filter(kind=LedgerTransaction.Kind.REFUND).aggregate(total=Sum("spent"))["total"] or 0)
        charged = now["spent"] + refunded
        most = min(hold.amount, charged + max(0, account.available + account.credit_line))
        wanted = max(refunded, min(charge, most))
        more = wanted - charged
        # A loss is what a cap (or the release of the job) keeps us from charging, not a margin that was chosen.
        released = rows.filter(kind=LedgerTransaction.Kind.RELEASE).exists()
        loss = max(0, cost - wanted) if released or charge > wanted or cost > hold.amount else 0
        if more == 0 and cost == now["cost"] and loss == now["loss"]:
            return None
        spend(hold.budget_periods, reserved=0, spent=more)
        movement = Movement(
            LedgerTransaction.Kind.CORRECTION,
            available=-more,
            spent=more,
            cost=cost - now["cost"],
            loss=loss - now["loss"],
            job=job,
            reference=reference,
            reason=reason,
        )
        return post(account.pk, movement, actor=actor)


def write_off(job: str, cost: int, *, reference: str, reason: str) -> LedgerTransaction | None:
    """Books a cost that nobody is charged for, e.g. of a released job that the provider ran after all (nano-USD).

    None where the reference was booked before.
    """
    hold = Hold.objects.get(job=job)
    movement = Movement(
        LedgerTransaction.Kind.WRITE_OFF, cost=cost, loss=cost, job=job, reference=reference, reason=reason
    )
    try:
        with transaction.atomic():
            return post(hold.account_id, movement, actor=SYSTEM)
    except IntegrityError:
        return None


def _ended(job: str) -> tuple[Hold, Account]:
    """The closed hold and its account, locked: the order that everybody takes is account, then budgets."""
    hold = Hold.objects.get(job=job)
    if hold.closed_at is None:
        raise MoneyRefusedError(f"The job {job} is not settled yet; only what was charged can change.")
    return hold, Account.objects.select_for_update().get(pk=hold.account_id)
