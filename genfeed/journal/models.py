"""What happened, written by every floor: audit events, alerts for staff, and the outbox of events for clients."""

from typing import Any, NoReturn

from django.conf import settings
from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.utils import timezone

from genfeed.journal import links
from genfeed.journal.positions import CurrentTransaction


class AppendOnlyError(Exception):
    """Raised where something tries to change or delete what may only be added to."""


class AppendOnlyQuerySet(models.QuerySet):
    def update(self, **kwargs: Any) -> NoReturn:
        raise AppendOnlyError(f"{self.model.__name__} rows are never changed.")

    def delete(self) -> NoReturn:
        raise AppendOnlyError(f"{self.model.__name__} rows are never deleted.")


class AuditEvent(models.Model):
    """Who did what to which object, with the values before and after. Append-only."""

    at = models.DateTimeField(default=timezone.now, editable=False, db_index=True)
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+", editable=False
    )
    # Copied as text: the name must outlive the account.
    actor_name = models.CharField(max_length=200, editable=False)
    action = models.CharField(max_length=80, db_index=True, help_text="Dotted name, e.g. model.disabled.")
    object_type = models.CharField(max_length=80)
    object_id = models.CharField(max_length=80)
    object_name = models.CharField(max_length=300)
    before = models.JSONField(default=dict, encoder=DjangoJSONEncoder)
    after = models.JSONField(default=dict, encoder=DjangoJSONEncoder)
    reason = models.CharField(max_length=500, blank=True)
    request_id = models.CharField(max_length=64, blank=True)

    objects = AppendOnlyQuerySet.as_manager()

    class Meta:
        ordering = ["-at", "-pk"]
        indexes = [models.Index(fields=["object_type", "object_id"])]

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M} {self.actor_name} {self.action} {self.object_name}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        if self.pk is not None:
            raise AppendOnlyError("An audit event is never changed.")
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise AppendOnlyError("An audit event is never deleted.")


class Alert(models.Model):
    """Something that staff should look at. A person acknowledges it; it is resolved when its cause is gone.

    Open: neither. Of one code and subject there is one that is not resolved; it counts how often it came.
    """

    class Level(models.TextChoices):
        INFO = "info"
        WARNING = "warning"
        CRITICAL = "critical"

    code = models.CharField(max_length=60, db_index=True)
    level = models.CharField(max_length=10, choices=Level, default=Level.WARNING)
    subject = models.CharField(max_length=300, help_text="What it is about, e.g. fal:fal-ai/flux/dev.")
    title = models.CharField(max_length=300)
    text = models.TextField(blank=True)
    url = models.CharField(max_length=300, blank=True, help_text="The admin page where it can be dealt with.")
    created_at = models.DateTimeField(default=timezone.now, db_index=True)
    last_seen_at = models.DateTimeField(default=timezone.now)
    times = models.PositiveIntegerField(default=1)
    amount = models.BigIntegerField(default=0, help_text="What all its occurrences are about together, in nano-USD.")
    acknowledged_at = models.DateTimeField(null=True, blank=True)
    acknowledged_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )

    resolved_at = models.DateTimeField(null=True, blank=True, help_text="When its cause was gone.")
    # What `times` was when staff were told; 0: they were not told yet.
    mailed_times = models.PositiveIntegerField(default=0)
    posted_times = models.PositiveIntegerField(default=0)

    class Meta:
        ordering = ["-last_seen_at", "-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["code", "subject"], condition=models.Q(resolved_at=None), name="one_live_alert_a_subject"
            )
        ]

    def __str__(self) -> str:
        return self.title

    @property
    def state(self) -> str:
        """`open`, `acknowledged` or `resolved`."""
        if self.resolved_at:
            return "resolved"
        return "acknowledged" if self.acknowledged_at else "open"

    @property
    def page(self) -> str:
        """Where its title leads: the admin page where it can be dealt with, else its own, which has the words."""
        return self.url if self.url.startswith("/") else links.to_page("journal_alert_change", self.pk)


class NoticeChannel(models.Model):
    """A way by which staff are told of alerts: when it is tried next, and how it went."""

    name = models.CharField(max_length=10, primary_key=True, help_text="email or webhook.")
    next_at = models.DateTimeField(default=timezone.now, help_text="Not tried before; whoever tries moves it ahead.")
    failures = models.PositiveIntegerField(default=0, help_text="In a row.")
    error = models.CharField(max_length=300, blank=True, help_text="What the last try ended with.")
    digest_at = models.DateTimeField(default=timezone.now, help_text="When repeated alerts were told last.")

    def __str__(self) -> str:
        return self.name


class OutboxEvent(models.Model):
    """An event for clients, written in the transaction of the change that it tells of, delivered later."""

    kind = models.CharField(max_length=60, db_index=True, help_text="e.g. model.added.")
    subject = models.CharField(max_length=300)
    payload = models.JSONField(default=dict, encoder=DjangoJSONEncoder)
    # No foreign key: the journal lies below the clients.
    client_id = models.BigIntegerField(null=True, help_text="Whose event it is; empty: every client's.")
    txid = models.BigIntegerField(
        db_default=CurrentTransaction(), editable=False, help_text="Its transaction: genfeed.journal.positions."
    )
    created_at = models.DateTimeField(default=timezone.now, db_index=True)
    delivered_at = models.DateTimeField(
        null=True, blank=True, help_text="When it was handed out to those who wait for it."
    )

    class Meta:
        ordering = ["pk"]
        indexes = [
            models.Index(fields=["id"], condition=models.Q(delivered_at=None), name="event_to_deliver"),
            models.Index(fields=["txid"], name="event_by_transaction"),
            models.Index(fields=["client_id", "txid", "id"], name="event_of_client"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.subject}"
