"""Notices to clients by e-mail: balance, budgets, keys, webhooks that were switched off; from the outbox."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.core.mail import EmailMessage
from django.db.models import F
from django.utils import timezone

from genfeed.clients.models import Client, ClientMail
from genfeed.journal.models import OutboxEvent

logger = logging.getLogger(__name__)

# Longer than a try takes: meanwhile nobody else tries.
LEASE = timedelta(minutes=5)
FIRST_WAIT, LONGEST_WAIT = timedelta(minutes=1), timedelta(hours=2)
GIVE_UP_AFTER = timedelta(days=1)
_MOST = 50

Words = tuple[str, list[str]]


def _low_balance(said: Mapping[str, Any]) -> Words:
    return f"Your balance is below {said['threshold']} {said['currency']}", [
        f"{said['available']} {said['currency']} are left, and {said['held']} are reserved for jobs that run.",
        "Top up soon: without a balance new jobs are refused. You are told once each time that it falls below.",
    ]


def _budget(said: Mapping[str, Any]) -> Words:
    resets = f" It begins anew at {said['resets_at']}." if said["resets_at"] else ""
    return f"{said['threshold']} % of a budget are spent: {said['description']}", [
        f"{said['spent']} of {said['limit']} {said['currency']} are spent or reserved.{resets}",
        "Requests over it are refused." if said["hard"] else "It only warns; requests go on.",
        "See and change your budgets at /api/v1/budgets.",
    ]


def _old_key(said: Mapping[str, Any]) -> Words:
    return f"Your API key {said['prefix']}… is {said['age_days']} days old", [
        f"Rotate the key named {said['name']}: POST /api/v1/keys/{said['id']}/rotate makes a successor, and both work "
        "until the overlap is over.",
    ]


def _switched_off(said: Mapping[str, Any]) -> Words:
    return "One of your webhook endpoints was switched off", [
        f"{said['url']} has taken nothing since {said['failing_since']}; the last answer: {said['error']}.",
        f"Mend it, then switch it on again: PATCH /api/v1/webhook-endpoints/{said['id']} with is_active true. What "
        "was missed can be sent again.",
    ]


_WORDS: dict[str, Callable[[Mapping[str, Any]], Words]] = {
    "balance.low": _low_balance,
    "budget.threshold_reached": _budget,
    "api_key.rotation_due": _old_key,
    "webhook.disabled": _switched_off,
}


def mail_clients() -> int:
    """Mails every event that clients should read of, to those with an address; returns how many mails were sent."""
    if not settings.SENDS_MAIL:
        return 0
    now = timezone.now()
    _gather(now)
    due = ClientMail.objects.filter(next_at__lte=now).select_related("event", "client").order_by("pk")[:_MOST]
    return sum(_send(row, now) for row in due)


def _gather(now: datetime) -> None:
    reachable = Client.objects.filter(is_active=True).exclude(email="").values("pk")
    events = OutboxEvent.objects.filter(
        kind__in=_WORDS, client_id__in=reachable, created_at__gt=now - GIVE_UP_AFTER, mail=None
    )
    ClientMail.objects.bulk_create(
        [ClientMail(event=one, client_id=one.client_id or 0, next_at=now) for one in events.order_by("pk")[:500]],
        ignore_conflicts=True,
    )


def _send(row: ClientMail, now: datetime) -> bool:
    claim = ClientMail.objects.filter(pk=row.pk, next_at=row.next_at)
    if not claim.update(next_at=now + LEASE, attempts=F("attempts") + 1):
        return False
    title, lines = _WORDS[row.event.kind](row.event.payload)
    message = EmailMessage(" ".join(title.split())[:200], "\n\n".join(lines), settings.EMAIL_FROM, [row.client.email])
    outcome: dict[str, Any] = {"next_at": None, "sent_at": now, "error": ""}
    try:
        message.send()
    except Exception as error:
        # Its text may show the address and the password of the mail server.
        logger.warning("mail %s to client %s: %s", row.pk, row.client_id, type(error).__name__)
        outcome = {"next_at": _next_try(row, now), "error": type(error).__name__[:100]}
    ClientMail.objects.filter(pk=row.pk).update(**outcome)
    return "sent_at" in outcome


def _next_try(row: ClientMail, now: datetime) -> datetime | None:
    at = now + min(LONGEST_WAIT, FIRST_WAIT * 2 ** min(row.attempts, 10))
    return None if at > row.event.created_at + GIVE_UP_AFTER else at
