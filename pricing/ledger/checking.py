"""Proving that the books are right: M1, M2 and M7, account by account, each in statements that see one moment."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from django.conf import settings
from django.db.models import BigIntegerField, Count, Exists, F, OuterRef, Q, Subquery, Sum, Value
from django.db.models.functions import Coalesce

from genfeed.journal.alerts import raise_alert, resolve
from genfeed.journal.models import Alert
from pricing.models import Account, BudgetPeriod, Hold, LedgerTransaction
from pricing.money import format_usd

COLUMNS = ("available", "held", "spent", "funded")
SHOWN = 50
# Set by the floor above, which alone knows jobs: ids of jobs whose outcome is not known yet, among these.
open_jobs: Callable[[], set[str]] | None = None


@dataclass(frozen=True, slots=True)
class Mismatch:
    """One thing that is wrong: the invariant, what it is about, and the words."""

    invariant: str
    subject: str
    words: str


def check_ledger() -> list[Mismatch]:
    """Everything that is wrong with the books; an empty list is the proof."""
    return [*_unbalanced(), *_balances(), *_holds(), *_ends(), *_jobs(), *_budgets()]


def check_and_alert() -> str:
    """The daily check: a critical alert while something is wrong, resolved when it is not."""
    found = check_ledger()
    if not found:
        resolve("ledger_mismatch", "ledger")
        return "the ledger is proven"
    raise_alert(
        "ledger_mismatch",
        "ledger",
        f"{len(found)} mismatch{'es' if len(found) > 1 else ''} in the ledger",
        "\n".join(f"{one.invariant} {one.subject}: {one.words}" for one in found[:SHOWN])
        + "\nStop charging (switch the clients concerned off) and run `manage.py check_ledger`.",
        level=Alert.Level.CRITICAL,
    )
    return f"{len(found)} mismatches"


def _unbalanced() -> list[Mismatch]:
    rows = LedgerTransaction.objects.exclude(funded=F("available") + F("held") + F("spent"))
    return [Mismatch("M1", f"transaction {row.pk}", "its entries do not sum to zero") for row in rows[:SHOWN]]


def _balances() -> list[Mismatch]:
    """Every column of every account against the sum of the ledger's, read together in one statement."""
    of_account = LedgerTransaction.objects.filter(account=OuterRef("pk")).order_by().values("account")
    sums = {
        f"sum_{name}": Coalesce(
            Subquery(of_account.annotate(total=Sum(name)).values("total"), output_field=BigIntegerField()), Value(0)
        )
        for name in COLUMNS
    }
    right = {name: F(f"sum_{name}") for name in COLUMNS}
    found = []
    for account in Account.objects.annotate(**sums).exclude(**right).select_related("client")[:SHOWN]:
        differing = [
            f"{name} is {format_usd(getattr(account, name))}, its ledger says {format_usd(summed)}"
            for name in COLUMNS
            if getattr(account, name) != (summed := getattr(account, f"sum_{name}"))
        ]
        found.append(Mismatch("M2", f"client {account.client}", "; ".join(differing)))
    for account in Account.objects.exclude(funded=F("available") + F("held") + F("spent"))[:SHOWN]:
        found.append(Mismatch("M2", f"client {account.client}", "available + held + spent is not funded"))
    # In core mode nobody pays us: there is no balance to keep above anything.
    overdrawn = Account.objects.filter(available__lt=-F("credit_line"))
    for account in overdrawn[:SHOWN] if settings.GENFEED_MODE == "cloud" else ():
        words = f"available is {format_usd(account.available)}, below its credit line"
        found.append(Mismatch("M2", f"client {account.client}", words))
    return found


def _holds() -> list[Mismatch]:
    """What is held is exactly the open holds."""
    opened = Hold.objects.filter(account=OuterRef("pk"), closed_at=None).order_by().values("account")
    rows = Account.objects.annotate(
        open_amount=Coalesce(
            Subquery(opened.annotate(total=Sum("amount")).values("total"), output_field=BigIntegerField()), Value(0)
        ),
        open_count=Coalesce(
            Subquery(opened.filter(in_batch=False).annotate(n=Count("pk")).values("n"), output_field=BigIntegerField()),
            Value(0),
        ),
        batch_count=Coalesce(
            Subquery(opened.filter(in_batch=True).annotate(n=Count("pk")).values("n"), output_field=BigIntegerField()),
            Value(0),
        ),
    ).exclude(held=F("open_amount"), open_holds=F("open_count"), open_batch_holds=F("batch_count"))
    return [
        Mismatch(
            "M7",
            f"client {row.client}",
            f"{format_usd(row.held)} USD are held for {row.open_holds} single jobs and {row.open_batch_holds} of "
            f"batches, the open holds are {row.open_count} and {row.batch_count} with "
            f"{format_usd(row.open_amount)} USD",
        )
        for row in rows.select_related("client")[:SHOWN]
    ]


def _ends() -> list[Mismatch]:
    """A closed hold has one end in the ledger, an open one none, and every one what it was begun and changed by."""
    booked = LedgerTransaction.objects.filter(job=OuterRef("job"))
    begun = booked.filter(kind=LedgerTransaction.Kind.HOLD).order_by().values("job")
    rows = Hold.objects.annotate(
        begun=Coalesce(
            Subquery(begun.annotate(total=Sum("held")).values("total"), output_field=BigIntegerField()), Value(-1)
        ),
        ended=Exists(booked.filter(kind__in=[LedgerTransaction.Kind.SETTLE, LedgerTransaction.Kind.RELEASE])),
    )
    wrong = rows.filter(~Q(begun=F("amount")) | Q(closed_at=None, ended=True) | Q(closed_at__isnull=False, ended=False))
    words = "the hold and its rows in the ledger tell different stories"
    return [Mismatch("M3", f"job {row.job}", words) for row in wrong[:SHOWN]]


def _jobs() -> list[Mismatch]:
    """The open holds are exactly the jobs whose outcome is not known."""
    apart = _apart()
    # What changed while it was read is no fault: only what is apart twice counts.
    again = _apart() if apart else {}
    return [Mismatch("M7", f"job {job}", words) for job, words in sorted(apart.items()) if again.get(job) == words][
        :SHOWN
    ]


def _apart() -> dict[str, str]:
    if open_jobs is None:
        return {}
    unknown = open_jobs()
    held = set(Hold.objects.filter(closed_at=None).values_list("job", flat=True))
    return {
        **dict.fromkeys(unknown - held, "its outcome is not known, and it has no open hold"),
        **dict.fromkeys(held - unknown, "has an open hold, and its outcome is known"),
    }


def _budgets() -> list[Mismatch]:
    """What budgets have reserved is what the open holds reserved in them."""
    reserved: dict[int, int] = {}
    for periods, amount in Hold.objects.filter(closed_at=None).values_list("budget_periods", "amount"):
        for period in periods:
            reserved[period] = reserved.get(period, 0) + amount
    found = []
    for row in BudgetPeriod.objects.filter(Q(reserved__gt=0) | Q(pk__in=reserved)).select_related("budget__client"):
        if row.reserved != reserved.get(row.pk, 0):
            words = (
                f"{format_usd(row.reserved)} USD are reserved, its open holds are {format_usd(reserved.get(row.pk, 0))}"
            )
            found.append(Mismatch("M7", str(row), words))
    return found[:SHOWN]
