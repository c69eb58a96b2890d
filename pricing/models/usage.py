"""What settled jobs used."""

from typing import Any, NoReturn

from django.db import models
from django.utils import timezone

from catalog.models import AIModel
from genfeed.clients.models import Client


class ImmutableError(Exception):
    """Raised where something tries to change or delete a usage record."""


class UsageRecord(models.Model):
    """What one settled job used, cost and was charged. Immutable; reports and learned prices read only this."""

    job = models.CharField(max_length=40, unique=True, help_text="The job's id.")
    client = models.ForeignKey(Client, null=True, on_delete=models.PROTECT, related_name="usage_records")
    model = models.ForeignKey(AIModel, on_delete=models.PROTECT, related_name="usage_records")
    unit = models.CharField(max_length=60, blank=True)
    units = models.CharField(max_length=40, blank=True, help_text="Billed units, exact decimal.")
    cost = models.BigIntegerField(help_text="nano-USD")
    charge = models.BigIntegerField(help_text="nano-USD")
    cost_source = models.CharField(max_length=16)
    features = models.JSONField(default=dict, help_text="The input fields that matter for the cost, e.g. resolution.")
    seconds = models.FloatField(null=True, help_text="From submission to result; for latencies, not for money.")
    created_at = models.DateTimeField(default=timezone.now, db_index=True)

    class Meta:
        ordering = ["-created_at", "-pk"]
        indexes = [models.Index(fields=["model", "created_at"])]

    def __str__(self) -> str:
        return self.job

    def save(self, *args: Any, **kwargs: Any) -> None:
        if self.pk is not None:
            raise ImmutableError("A usage record is never changed.")
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise ImmutableError("A usage record is never deleted.")
