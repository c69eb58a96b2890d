"""Forgetting what was told long ago."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.db.models import QuerySet
from django.utils import timezone

from genfeed.journal.models import OutboxEvent
from jobs.webhooks.models import WebhookDelivery, WebhookMessage

KEPT = timedelta(days=30)
_AT_ONCE = 1000


def clean_up() -> int:
    """Deletes events that were handed out, and messages whose deliveries have ended, after 30 days; returns how many.

    A thousand at a time, so that nobody waits long for the table.
    """
    before = timezone.now() - KEPT
    pending = WebhookDelivery.objects.filter(status=WebhookDelivery.Status.PENDING).values("message")
    gone = 0
    olds: tuple[QuerySet[Any], ...] = (
        OutboxEvent.objects.filter(delivered_at__lt=before),
        WebhookMessage.objects.filter(created_at__lt=before).exclude(pk__in=pending),
    )
    for old in olds:
        while keys := list(old.values_list("pk", flat=True)[:_AT_ONCE]):
            old.model._default_manager.filter(pk__in=keys).delete()
            gone += len(keys)
    return gone
