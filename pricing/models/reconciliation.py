"""What the provider billed, line by line, and how each request's bill stands against our books. Amounts in nano-USD."""

from typing import Any, NoReturn

from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.db.models import Q
from django.utils import timezone

from catalog.models import AIModel, Provider
from genfeed.journal.models import AppendOnlyError
from pricing.models.usage import UsageRecord


class ReconciliationRun(models.Model):
    """One reading of a provider's bill. The watermark is `read_until` of the last run that succeeded."""

    class Status(models.TextChoices):
        RUNNING = "running"
        SUCCEEDED = "succeeded"
        FAILED = "failed"

    provider = models.ForeignKey(Provider, on_delete=models.CASCADE, related_name="reconciliations")
    status = models.CharField(max_length=10, choices=Status, default=Status.RUNNING)
    trigger = models.CharField(max_length=10, default="schedule")
    requested_by = models.CharField(max_length=200, blank=True)
    is_deep = models.BooleanField(default=False, help_text="Reads back days instead of hours, for what came late.")
    read_from = models.DateTimeField()
    read_until = models.DateTimeField()
    started_at = models.DateTimeField(default=timezone.now)
    lease_until = models.DateTimeField()
    finished_at = models.DateTimeField(null=True)
    report = models.JSONField(default=dict, help_text="Counts: pages, events, new, and bills by what became of them.")
    problems = models.JSONField(default=list, help_text="Lines of the bill that could not be read.")
    error = models.CharField(max_length=1000, blank=True)

    class Meta:
        ordering = ["-started_at", "-pk"]
        indexes = [models.Index(fields=["provider", "status", "read_until"])]
        constraints = [
            models.UniqueConstraint(
                fields=["provider"], condition=Q(status="running"), name="one_running_reconciliation_a_provider"
            )
        ]

    def __str__(self) -> str:
        return f"{self.provider} until {self.read_until:%Y-%m-%d %H:%M}"


class BillingEvent(models.Model):
    """One line of a provider's bill, as it read. What it says never changes; a revised line is another row.

    Providers give no id of a line: `identity` is a digest of all that it says. `last_run` is the last reading that
    showed it; a line that a later reading shows with other amounts is `superseded` and counts no more.
    """

    provider = models.ForeignKey(Provider, on_delete=models.PROTECT, related_name="billing_events")
    identity = models.CharField(max_length=64)
    request_id = models.CharField(max_length=80)
    endpoint_id = models.CharField(max_length=255)
    at = models.DateTimeField(db_index=True)
    units = models.CharField(max_length=60, blank=True, help_text="Exact decimal; empty where it does not say.")
    unit = models.CharField(max_length=60, blank=True)
    unit_price = models.CharField(max_length=60, blank=True, help_text="USD, exact decimal.")
    percent_discount = models.CharField(max_length=60, blank=True)
    subtotal = models.BigIntegerField(help_text="Before discounts.")
    discount = models.BigIntegerField()
    total = models.BigIntegerField(help_text="What is owed.")
    raw = models.JSONField(encoder=DjangoJSONEncoder)
    seen_at = models.DateTimeField(default=timezone.now)
    first_run = models.ForeignKey(ReconciliationRun, on_delete=models.PROTECT, related_name="+")
    last_run = models.ForeignKey(ReconciliationRun, on_delete=models.PROTECT, related_name="+")
    superseded = models.BooleanField(default=False)

    class Meta:
        ordering = ["-at", "-pk"]
        indexes = [models.Index(fields=["provider", "request_id"])]
        constraints = [models.UniqueConstraint(fields=["provider", "identity"], name="one_row_a_billed_line")]

    def __str__(self) -> str:
        return f"{self.request_id} {self.endpoint_id}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        if self.pk is not None:
            raise AppendOnlyError("A line of a bill is never changed.")
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise AppendOnlyError("A line of a bill is never deleted.")


class Bill(models.Model):
    """All that was billed for one request, and how it stands against our books."""

    class State(models.TextChoices):
        UNMATCHED = "unmatched", "of no job of ours yet"
        ORPHAN = "orphan", "of no job of ours"
        MATCHED = "matched", "as booked"
        CORRECTED = "corrected", "booked anew"
        QUARANTINED = "quarantined", "waits for a decision"
        ACCEPTED = "accepted", "accepted by a person"
        KEPT = "kept", "the client pays the quote"
        DISPUTED = "disputed", "not accepted"

    DECIDED = (State.ACCEPTED, State.KEPT, State.DISPUTED)

    provider = models.ForeignKey(Provider, on_delete=models.PROTECT, related_name="bills")
    request_id = models.CharField(max_length=80)
    endpoint_id = models.CharField(max_length=255)
    at = models.DateTimeField(db_index=True)
    state = models.CharField(max_length=12, choices=State, default=State.UNMATCHED, db_index=True)
    # Has lines that were not looked at yet, or waits for its job.
    is_open = models.BooleanField(default=True)
    usage = models.OneToOneField(UsageRecord, null=True, on_delete=models.PROTECT, related_name="bill")
    model = models.ForeignKey(AIModel, null=True, on_delete=models.PROTECT, related_name="bills")
    lines = models.PositiveIntegerField(default=0)
    rounds = models.PositiveIntegerField(default=0, help_text="How often it was brought to the books.")
    subtotal = models.BigIntegerField(default=0, help_text="Before discounts.")
    total = models.BigIntegerField(default=0, help_text="What is owed.")
    booked_cost = models.BigIntegerField(null=True, help_text="What the settlement took for the cost.")
    # Of the estimate from the bill before discounts, in millionths of the bill; empty where nothing is to compare.
    deviation_ppm = models.BigIntegerField(null=True)
    reason = models.CharField(max_length=20, blank=True, help_text="Why it waits: too_high, too_low, other_unit.")
    words = models.CharField(max_length=500, blank=True)
    decided_by = models.CharField(max_length=200, blank=True)
    decided_at = models.DateTimeField(null=True)
    decision_reason = models.CharField(max_length=500, blank=True)
    updated_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["-at", "-pk"]
        indexes = [
            models.Index(fields=["provider", "at"], condition=Q(is_open=True), name="open_bills"),
            models.Index(fields=["model", "at"]),
        ]
        constraints = [models.UniqueConstraint(fields=["provider", "request_id"], name="one_bill_a_request")]

    def __str__(self) -> str:
        return f"{self.request_id} {self.endpoint_id}"


class StrayRequest(models.Model):
    """A request that a provider ran after its job was given up: not delivered, and its bill is our loss."""

    provider = models.ForeignKey(Provider, on_delete=models.CASCADE, related_name="+")
    request_id = models.CharField(max_length=80)
    job = models.CharField(max_length=40, help_text="The job's id.")
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["provider", "request_id"], name="one_stray_a_request")]

    def __str__(self) -> str:
        return f"{self.request_id} of {self.job}"
