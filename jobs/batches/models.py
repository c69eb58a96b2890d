"""Batches. What their jobs do stands in the jobs alone; a batch counts nothing, so no two jobs wait for its row."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils import timezone

from genfeed.clients.models import ApiKey, Client


class Batch(models.Model):
    """Jobs of one request. Where it stands follows from its moments; see `status`."""

    class Mode(models.TextChoices):
        BEST_EFFORT = "best_effort"
        ALL_OR_NOTHING = "all_or_nothing"

    id = models.CharField(max_length=40, primary_key=True, help_text="bat_ and a ULID: sorts by time.")
    client = models.ForeignKey(Client, on_delete=models.PROTECT, related_name="batches")
    key = models.ForeignKey(ApiKey, null=True, on_delete=models.SET_NULL, related_name="+")
    mode = models.CharField(max_length=14, choices=Mode)
    size = models.PositiveSmallIntegerField(help_text="Items that were asked for.")
    webhook_url = models.CharField(max_length=2000, blank=True)
    metadata = models.JSONField(default=dict)
    max_total_price = models.BigIntegerField(null=True, help_text="nano-USD")
    quoted = models.BigIntegerField(null=True, help_text="nano-USD; the prices of all accepted items, once closed.")
    created_at = models.DateTimeField(default=timezone.now)
    # A lease of whoever accepts its items: renewed with each part, taken over by a repetition once it has run out.
    accepting_until = models.DateTimeField()
    closed_at = models.DateTimeField(null=True, help_text="No item is accepted any more.")
    cancel_requested_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True, help_text="Closed, and every job has ended.")

    class Meta:
        ordering = ["-id"]
        verbose_name_plural = "batches"
        indexes = [
            models.Index(fields=["client", "id"]),
            models.Index(fields=["finished_at"]),
        ]

    def __str__(self) -> str:
        return self.id

    @property
    def status(self) -> str:
        """`accepting`, `running`, `canceling`, `completed` or `canceled`."""
        if self.finished_at:
            return "canceled" if self.cancel_requested_at else "completed"
        if self.cancel_requested_at:
            return "canceling"
        return "running" if self.closed_at else "accepting"


# The same as conditions.
STATUSES = {
    "accepting": Q(closed_at=None, cancel_requested_at=None),
    "running": Q(closed_at__isnull=False, cancel_requested_at=None, finished_at=None),
    "canceling": Q(cancel_requested_at__isnull=False, finished_at=None),
    "completed": Q(finished_at__isnull=False, cancel_requested_at=None),
    "canceled": Q(finished_at__isnull=False, cancel_requested_at__isnull=False),
}


class BatchRefusal(models.Model):
    """An item that was not accepted, and why."""

    batch = models.ForeignKey(Batch, on_delete=models.CASCADE, related_name="refusals")
    index = models.PositiveSmallIntegerField()
    code = models.CharField(max_length=40)
    message = models.TextField()
    hint = models.TextField(blank=True)
    details = models.JSONField(null=True)

    class Meta:
        ordering = ["batch", "index"]
        constraints = [models.UniqueConstraint(fields=["batch", "index"], name="one_refusal_an_item")]

    def __str__(self) -> str:
        return f"{self.batch_id} {self.index}: {self.code}"
