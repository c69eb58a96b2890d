"""What settled jobs used."""

from typing import Any, NoReturn

from django.db import models
from django.utils import timezone

from catalog.models import AIModel
from genfeed.clients.models import ApiKey, Client


class ImmutableError(Exception):
    """Raised where something tries to change or delete a usage record."""


class ImmutableQuerySet(models.QuerySet):
    def update(self, **kwargs: Any) -> NoReturn:
        raise ImmutableError("Usage records are never changed.")

    def delete(self) -> NoReturn:
        raise ImmutableError("Usage records are never deleted.")


class UsageRecord(models.Model):
    """What one ended job used, cost and was charged. Immutable; reports and learned prices read only this.

    `cost` and `charge` are those of the settlement; what bills changed later stands in the ledger's corrections.
    """

    class Outcome(models.TextChoices):
        SUCCEEDED = "succeeded"
        FAILED = "failed"
        CANCELED = "canceled"

    class CostSource(models.TextChoices):
        BILLING_EVENT = "billing_event", "the provider's billing event"
        BILLABLE_UNITS = "billable_units", "billed units of the result"
        ESTIMATED = "estimated", "our own estimate"
        NONE = "none", "nothing was billed"

    job = models.CharField(max_length=40, unique=True, help_text="The job's id.")
    client = models.ForeignKey(Client, null=True, on_delete=models.PROTECT, related_name="usage_records")
    key = models.ForeignKey(ApiKey, null=True, on_delete=models.SET_NULL, related_name="+")
    model = models.ForeignKey(AIModel, on_delete=models.PROTECT, related_name="usage_records")
    unit = models.CharField(max_length=60, blank=True)
    units = models.CharField(max_length=40, blank=True, help_text="Billed units, exact decimal.")
    cost = models.BigIntegerField(help_text="nano-USD")
    charge = models.BigIntegerField(help_text="nano-USD")
    cost_source = models.CharField(max_length=16, choices=CostSource)
    outcome = models.CharField(max_length=10, choices=Outcome, default=Outcome.SUCCEEDED)
    error_code = models.CharField(max_length=40, blank=True)
    request_id = models.CharField(max_length=80, blank=True, db_index=True, help_text="The provider's id of it.")
    quoted_cost = models.BigIntegerField(null=True, help_text="nano-USD")
    quoted_price = models.BigIntegerField(null=True, help_text="nano-USD")
    # What a corrected bill needs to make the charge again: margin terms, billing, hold, quoted unit and unit price.
    terms = models.JSONField(default=dict)
    is_cached = models.BooleanField(default=False, help_text="Answered from a stored result; no call was made.")
    features = models.JSONField(default=dict, help_text="The input fields that matter for the cost, e.g. resolution.")
    seconds = models.FloatField(null=True, help_text="From submission to result; for latencies, not for money.")
    created_at = models.DateTimeField(default=timezone.now, db_index=True)

    objects = ImmutableQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at", "-pk"]
        indexes = [models.Index(fields=["model", "created_at"]), models.Index(fields=["client", "created_at"])]

    def __str__(self) -> str:
        return self.job

    def save(self, *args: Any, **kwargs: Any) -> None:
        if self.pk is not None:
            raise ImmutableError("A usage record is never changed.")
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise ImmutableError("A usage record is never deleted.")


class UsageOfTest(models.Model):
    """What one ended test job would have been charged, for the usage that test keys see: no report reads it."""

    job = models.CharField(max_length=40, unique=True, help_text="The job's id.")
    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="+", help_text="The test side.")
    key = models.ForeignKey(ApiKey, null=True, on_delete=models.SET_NULL, related_name="+")
    model = models.ForeignKey(AIModel, on_delete=models.CASCADE, related_name="+")
    cost = models.BigIntegerField(help_text="nano-USD")
    charge = models.BigIntegerField(help_text="nano-USD")
    outcome = models.CharField(max_length=10, choices=UsageRecord.Outcome)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["-created_at", "-pk"]
        indexes = [models.Index(fields=["client", "created_at"])]

    def __str__(self) -> str:
        return self.job
