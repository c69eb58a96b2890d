"""Where clients want to be told, what they were to be told, and how each delivery went."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils import timezone

from genfeed.clients.models import Client


class Signing(models.Model):
    """A secret that signs, and the one before it while both do. Both are sealed (`genfeed.clients.sealing`)."""

    secret = models.TextField()
    previous_secret = models.TextField(blank=True)
    previous_until = models.DateTimeField(null=True, help_text="Until then the previous secret signs as well.")

    class Meta:
        abstract = True


class WebhookSecret(Signing):
    """What signs the events that go to the `webhook_url` of a client's single jobs."""

    client = models.OneToOneField(Client, on_delete=models.CASCADE, primary_key=True, related_name="+")

    def __str__(self) -> str:
        return f"webhook secret of client {self.client_id}"


class WebhookEndpoint(Signing):
    """An address of a client that is told of the events that it has chosen."""

    id = models.CharField(max_length=40, primary_key=True, help_text="whe_ and a ULID.")
    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="webhook_endpoints")
    url = models.CharField(max_length=2000)
    description = models.CharField(max_length=200, blank=True)
    events = models.JSONField(help_text="Names such as job.succeeded; job.* for all of a kind, * for all.")
    is_active = models.BooleanField(default=True)
    ordered = models.BooleanField(
        default=False, help_text="One delivery at a time, the next after the one before was delivered or given up."
    )
    last_place = models.PositiveBigIntegerField(default=0, help_text="Of the last delivery that was put in line.")
    created_at = models.DateTimeField(default=timezone.now)
    failures = models.PositiveIntegerField(default=0, help_text="In a row, over all its deliveries.")
    failing_since = models.DateTimeField(null=True)
    error = models.CharField(max_length=200, blank=True, help_text="What the last failed attempt ended with.")
    disabled_at = models.DateTimeField(null=True, help_text="When it was switched off for failing.")

    class Meta:
        ordering = ["-id"]
        permissions = [("resend_webhook", "Can send webhooks again")]

    def __str__(self) -> str:
        return self.id


class WebhookMessage(models.Model):
    """One event as a client is told of it: the same id and bytes at every address and attempt."""

    id = models.CharField(max_length=40, primary_key=True, help_text="msg_ and a ULID; the header webhook-id.")
    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="+")
    kind = models.CharField(max_length=60)
    subject = models.CharField(max_length=300)
    body = models.TextField()
    protocol = models.CharField(
        max_length=10, blank=True, help_text="Whose form it has and how it is signed; empty: our own."
    )
    created_at = models.DateTimeField(default=timezone.now, db_index=True)

    def __str__(self) -> str:
        return f"{self.kind} {self.subject}"


class WebhookDelivery(models.Model):
    """A message on its way to one address. `next_at` is a lease too: whoever attempts it moves it ahead."""

    class Status(models.TextChoices):
        PENDING = "pending"
        DELIVERED = "delivered"
        FAILED = "failed"

    id = models.CharField(max_length=40, primary_key=True, help_text="whd_ and a ULID.")
    message = models.ForeignKey(WebhookMessage, on_delete=models.CASCADE, related_name="deliveries")
    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="+")
    endpoint = models.ForeignKey(
        WebhookEndpoint, null=True, on_delete=models.CASCADE, related_name="deliveries",
        help_text="Empty: to the webhook_url of a job.",
    )  # fmt: skip
    lane = models.CharField(max_length=40, help_text="Who must not keep all senders busy: the endpoint, or the client.")
    url = models.CharField(max_length=2000)
    status = models.CharField(max_length=10, choices=Status, default=Status.PENDING)
    attempts = models.PositiveIntegerField(default=0, help_text="Counted before each.")
    next_at = models.DateTimeField(default=timezone.now)
    place = models.PositiveBigIntegerField(
        null=True, help_text="In the line of an ordered endpoint: only the first that is pending is attempted."
    )
    give_up_at = models.DateTimeField()
    attempted_at = models.DateTimeField(null=True)
    delivered_at = models.DateTimeField(null=True)
    response_status = models.PositiveSmallIntegerField(null=True)
    response_body = models.CharField(max_length=500, blank=True, help_text="Its beginning.")
    error = models.CharField(max_length=200, blank=True)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["-id"]
        verbose_name_plural = "webhook deliveries"
        indexes = [
            # Of all rows: SQLite takes no index with a condition on a value that is a parameter of the query.
            models.Index(fields=["status", "place", "next_at"], name="delivery_due"),
            models.Index(fields=["endpoint", "status", "place"], name="delivery_in_line"),
            models.Index(fields=["endpoint", "id"]),
            models.Index(fields=["client", "id"]),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["message", "endpoint"], condition=Q(endpoint__isnull=False), name="one_delivery_an_endpoint"
            )
        ]

    def __str__(self) -> str:
        return self.id
