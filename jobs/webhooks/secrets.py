"""The secrets that sign: made, read, and rotated with a while in which old and new both sign."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import transaction
from django.utils import timezone

from genfeed.clients.sealing import seal, unseal
from genfeed.journal.audit import Actor, Change, record
from genfeed.net.signing import new_secret
from jobs.webhooks.models import Signing, WebhookSecret

DEFAULT_OVERLAP = timedelta(days=1)


def secrets_of(row: Signing, now: datetime) -> list[str]:
    """The secrets that sign now, the newest first."""
    sealed = [row.secret]
    if row.previous_until is not None and row.previous_until > now:
        sealed.append(row.previous_secret)
    return [unseal(one) for one in sealed]


def secret_of_jobs(client_id: int) -> WebhookSecret:
    """The client's secret for the webhooks of single jobs; made at first need."""
    row = WebhookSecret.objects.filter(pk=client_id).first()
    return row or WebhookSecret.objects.get_or_create(pk=client_id, defaults={"secret": seal(new_secret())})[0]


def rotate(row: Signing, *, overlap: timedelta, actor: Actor) -> str:
    """Gives an endpoint, or a client's jobs, a new secret and returns it; the old one goes on signing for `overlap`."""
    text = new_secret()
    with transaction.atomic():
        locked = type(row)._default_manager.select_for_update().get(pk=row.pk)
        locked.previous_secret, locked.secret = locked.secret, seal(text)
        locked.previous_until = timezone.now() + overlap
        locked.save(update_fields=["secret", "previous_secret", "previous_until"])
        after = {"previous_until": locked.previous_until}
        record("webhook_secret.rotated", [Change(locked, after=after)], actor=actor)
    return text
