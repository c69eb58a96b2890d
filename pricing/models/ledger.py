"""The clients' money: accounts, the ledger that explains them to the nano, and holds. All amounts are nano-USD."""

from typing import Any, NoReturn

from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from genfeed.clients.models import Client
from genfeed.journal.models import AppendOnlyError, AppendOnlyQuerySet


class Account(models.Model):
    """The balance of a client and the terms it buys on.

    Every amount is the sum of the ledger's column of that name, and only `pricing.ledger.posting` writes them. The
    database itself refuses a row that breaks M2.
    """

    class Funding(models.TextChoices):
        PREPAID = "prepaid", "prepaid: pays first"
        POSTPAID = "postpaid", "postpaid: may owe up to its credit line"

    class Billing(models.TextChoices):
        METERED = "metered", "metered: the charge follows the provider's bill"
        QUOTED = "quoted", "quoted: the charge is the quote"

    client = models.OneToOneField(Client, on_delete=models.PROTECT, related_name="account")
    funding = models.CharField(max_length=8, choices=Funding, default=Funding.PREPAID)
    credit_line = models.BigIntegerField(default=0, help_text="nano-USD; how far below 0 `available` may fall.")
    billing = models.CharField(max_length=8, choices=Billing, default=Billing.METERED)
    charges_failures = models.BooleanField(default=False, help_text="Failures that the provider billed are charged.")
    charges_cancels = models.BooleanField(default=True, help_text="Canceled jobs that the provider billed are charged.")
    available = models.BigIntegerField(default=0)
    held = models.BigIntegerField(default=0)
    spent = models.BigIntegerField(default=0)
    funded = models.BigIntegerField(default=0)
    open_holds = models.IntegerField(default=0, help_text="Of single jobs.")
    open_batch_holds = models.IntegerField(default=0, help_text="Of jobs in batches.")
    low_balance = models.BigIntegerField(null=True, blank=True, help_text="nano-USD; below it a notice is sent, once.")
    low_balance_told_at = models.DateTimeField(null=True, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["client__name"]
        constraints = [
            models.CheckConstraint(
                condition=Q(funded=F("available") + F("held") + F("spent")), name="m2_account_adds_up"
            ),
            models.CheckConstraint(condition=Q(held__gte=0), name="account_holds_nothing_negative"),
            models.CheckConstraint(condition=Q(open_holds__gte=0), name="account_open_holds_not_negative"),
            models.CheckConstraint(condition=Q(open_batch_holds__gte=0), name="account_batch_holds_not_negative"),
            models.CheckConstraint(condition=Q(credit_line__gte=0), name="account_credit_line_not_negative"),
        ]
        permissions = [("move_money", "Can top up, correct, refund and write off, and set terms")]

    def __str__(self) -> str:
        return f"account of {self.client}"


class LedgerTransaction(models.Model):
    """One movement of money, immutable. Its columns are the entries; together they sum to zero (M1, by constraint).

    `available + held + spent − funded = 0`. Beside them stand what the provider is owed for it (`cost`) and the part of
    that which nobody is charged for (`loss`, the operator's).
    """

    class Kind(models.TextChoices):
        TOP_UP = "top_up", "top-up"
        HOLD = "hold"
        SETTLE = "settle"
        RELEASE = "release"
        REFUND = "refund"
        CORRECTION = "correction"
        WRITE_OFF = "write_off", "write-off"

    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="transactions")
    at = models.DateTimeField(default=timezone.now)
    kind = models.CharField(max_length=10, choices=Kind)
    job = models.CharField(max_length=40, blank=True, help_text="The job's id, where it is about one.")
    reference = models.CharField(max_length=120, blank=True, help_text="What makes it unique beside job and kind.")
    available = models.BigIntegerField(default=0)
    held = models.BigIntegerField(default=0)
    spent = models.BigIntegerField(default=0)
    funded = models.BigIntegerField(default=0)
    cost = models.BigIntegerField(default=0)
    loss = models.BigIntegerField(default=0)
    reason = models.CharField(max_length=500, blank=True)
    actor_name = models.CharField(max_length=200, blank=True)

    objects = AppendOnlyQuerySet.as_manager()

    class Meta:
        ordering = ["-at", "-pk"]
        # The constraints' own indexes are partial, and SQLite uses those for no question with parameters.
        indexes = [
            models.Index(fields=["account", "at"]),
            models.Index(fields=["kind", "at"]),
            models.Index(fields=["job"], name="ledger_of_a_job"),
            # What changes a job's money after its end: few rows, looked up for every job by reports, whose statement
            # says the condition in these very words.
            models.Index(
                fields=["job"],
                condition=Q(kind__in=["correction", "refund", "write_off"]) | ~Q(loss=0),
                name="ledger_later",
            ),
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(funded=F("available") + F("held") + F("spent")), name="m1_transaction_sums_to_zero"
            ),
            models.UniqueConstraint(
                fields=["job", "kind", "reference"], condition=~Q(job=""), name="one_transaction_a_job_and_cause"
            ),
            models.UniqueConstraint(
                fields=["job"], condition=~Q(job="") & Q(kind__in=["settle", "release"]), name="m3_one_end_a_job"
            ),
            models.UniqueConstraint(
                fields=["account", "kind", "reference"],
                condition=Q(job="") & ~Q(reference=""),
                name="one_transaction_a_reference",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.job or self.reference}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        if self.pk is not None:
            raise AppendOnlyError("A ledger transaction is never changed; a correction is a new one.")
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise AppendOnlyError("A ledger transaction is never deleted.")


class Hold(models.Model):
    """Money reserved for a job whose outcome is not known yet; closed once, by whoever changes `closed_at` first."""

    job = models.CharField(max_length=40, unique=True)
    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="holds")
    amount = models.BigIntegerField()
    budget_periods = models.JSONField(default=list, help_text="Ids of the budget periods that it is reserved in.")
    in_batch = models.BooleanField(default=False, help_text="Has its place among the jobs of batches.")
    opened_at = models.DateTimeField(default=timezone.now)
    closed_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-opened_at", "-pk"]
        indexes = [
            models.Index(fields=["account", "opened_at"], condition=Q(closed_at=None), name="open_holds"),
        ]
        constraints = [models.CheckConstraint(condition=Q(amount__gte=0), name="hold_not_negative")]

    def __str__(self) -> str:
        return f"hold for {self.job}"
