"""Telling staff of alerts, by e-mail and by a webhook: each once, and a daily count of those that came again.

Nobody waits for it: a task looks every minute, and a channel that does not work is tried again later and later.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import orjson
from django.conf import settings
from django.core.mail import EmailMessage
from django.db.models import F, QuerySet
from django.utils import timezone

from genfeed.journal.models import Alert, NoticeChannel
from genfeed.journal.times import rfc3339
from genfeed.net.addresses import GuardError
from genfeed.net.guarded import GuardedClient
from genfeed.net.signing import signed_headers

logger = logging.getLogger(__name__)

# Longer than a try takes: meanwhile nobody else tries.
LEASE = timedelta(minutes=5)
FIRST_WAIT, LONGEST_WAIT = timedelta(minutes=1), timedelta(hours=1)
DIGEST_EVERY = timedelta(days=1)
_MOST = 50
_SECONDS = 10.0
_LEVELS = [str(level) for level in Alert.Level]


class NotTakenError(Exception):
    """The webhook's receiver did not take the notice; the message names no part of its address."""


@dataclass(frozen=True)
class Channel:
    """A way to tell staff. `column` of Alert holds what `times` was when it told; `send` tells, or raises."""

    name: str
    column: str
    send: Callable[[Sequence[Alert], Sequence[Alert]], None]


def tell_staff() -> int:
    """Sends what is new by every configured channel; returns how many alerts were told. Never raises for a channel."""
    channels = []
    if settings.ALERT_EMAILS and settings.SENDS_MAIL:
        channels.append(Channel("email", "mailed_times", _mail))
    if settings.ALERT_WEBHOOK_URL:
        channels.append(Channel("webhook", "posted_times", _post))
    return sum(_tell_by(channel) for channel in channels)


def _tell_by(channel: Channel) -> int:
    row, _ = NoticeChannel.objects.get_or_create(name=channel.name)
    now = timezone.now()
    if not NoticeChannel.objects.filter(pk=row.pk, next_at=row.next_at, next_at__lte=now).update(next_at=now + LEASE):
        return 0
    new = list(_loud().filter(**{channel.column: 0}).order_by("pk")[:_MOST])
    is_digest = row.digest_at <= now - DIGEST_EVERY
    again = list(_repeated(channel.column)[:_MOST]) if is_digest else []
    outcome: dict[str, Any] = {"failures": 0, "error": "", "next_at": now}
    if is_digest:
        outcome["digest_at"] = now
    told = [*new, *again]
    if told:
        try:
            channel.send(new, again)
        except Exception as error:
            told = []
            outcome = _after_failure(channel, row, error, now)
    for alert in told:
        Alert.objects.filter(pk=alert.pk).update(**{channel.column: alert.times})
    NoticeChannel.objects.filter(pk=row.pk).update(**outcome)
    return len(told)


def _after_failure(channel: Channel, row: NoticeChannel, error: Exception, now: datetime) -> dict[str, Any]:
    # Texts of other errors may show addresses and passwords.
    words = str(error) if isinstance(error, NotTakenError | GuardError) else type(error).__name__
    logger.warning("alerts could not be sent by %s: %s", channel.name, words)
    wait = min(LONGEST_WAIT, FIRST_WAIT * 2 ** min(row.failures, 10))
    return {"failures": row.failures + 1, "error": words[:300], "next_at": now + wait}


def _loud() -> QuerySet[Alert]:
    """Open alerts that are severe enough to be sent."""
    levels = _LEVELS[_LEVELS.index(settings.ALERT_LEVEL) :]
    return Alert.objects.filter(acknowledged_at=None, resolved_at=None, level__in=levels)


def _repeated(column: str) -> QuerySet[Alert]:
    return _loud().filter(**{f"{column}__gt": 0, "times__gt": F(column)}).order_by("pk")


def _mail(new: Sequence[Alert], again: Sequence[Alert]) -> None:
    worst = max((*new, *again), key=lambda alert: _LEVELS.index(alert.level))
    more = len(new) + len(again) - 1
    title = " ".join(worst.title.split())
    subject = f"[GenFeed] {worst.level}: {title}" + (f" (and {more} more)" if more else "")
    parts = [_words(alert) for alert in new]
    if again:
        parts.append("These came again since they were told:")
        parts += [
            f"{alert.title}: {alert.times} times, last {alert.last_seen_at:%Y-%m-%d %H:%M} UTC" for alert in again
        ]
    parts.append("Acknowledge what is being dealt with; nothing is repeated before that but once a day.")
    message = EmailMessage(subject[:200], "\n\n".join(parts), settings.EMAIL_FROM, settings.ALERT_EMAILS)
    message.send()


def _words(alert: Alert) -> str:
    lines = [f"{alert.level.upper()}: {alert.title}", alert.text, _link(alert)]
    return "\n".join(line for line in lines if line)


def _link(alert: Alert) -> str:
    path = alert.url if alert.url.startswith("/") else f"/admin/journal/alert/{alert.pk}/change/"
    return f"{settings.PUBLIC_URL}{path}"


def _post(new: Sequence[Alert], again: Sequence[Alert]) -> None:
    now = timezone.now()
    body = orjson.dumps(
        {
            "type": "alerts",
            "timestamp": rfc3339(now),
            "data": {"new": [_shape(alert) for alert in new], "repeated": [_shape(alert) for alert in again]},
        }
    )
    # The same alerts have the same id, whenever they are sent again.
    named = ",".join(f"{alert.pk}:{alert.times}" for alert in (*new, *again))
    message_id = f"alerts_{hashlib.sha256(named.encode()).hexdigest()[:32]}"
    headers = signed_headers([settings.ALERT_WEBHOOK_SECRET], message_id=message_id, at=int(now.timestamp()), body=body)
    url = settings.ALERT_WEBHOOK_URL
    parts = urlsplit(url)
    # The operator's own address: also one that is not on the public internet.
    pair = f"{parts.hostname}:{parts.port or {'http': 80, 'https': 443}[parts.scheme]}"
    with GuardedClient(seconds=_SECONDS, allow=[pair]) as client:
        answer = client.post(url, body, max_bytes=1024, headers={"Content-Type": "application/json", **headers})
    if not 200 <= answer.status < 300:
        raise NotTakenError(f"the receiver answered {answer.status}")


def _shape(alert: Alert) -> dict[str, Any]:
    return {
        "id": alert.pk,
        "kind": alert.code,
        "level": alert.level,
        "subject": alert.subject,
        "title": alert.title,
        "text": alert.text,
        "url": _link(alert),
        "times": alert.times,
        "first_seen_at": rfc3339(alert.created_at),
        "last_seen_at": rfc3339(alert.last_seen_at),
    }
