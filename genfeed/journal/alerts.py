"""Raising, resolving and acknowledging alerts.

Two things end the noise of an alert: a person acknowledges it (somebody knows), or it is resolved (its cause is gone).
While it is not resolved, each further occurrence is counted on it; after that the same trouble is a new alert.
"""

from datetime import timedelta

from django.db import IntegrityError, transaction
from django.db.models import F
from django.utils import timezone

from genfeed.journal.audit import Actor, Change, record
from genfeed.journal.models import Alert

# Much of what alerts tell of is over by itself, with nobody to say so: what was acknowledged and did not come again for
# so long is over, and the next occurrence is news.
QUIET = timedelta(days=1)
_LEVELS = [str(level) for level in Alert.Level]


def raise_alert(
    code: str,
    subject: str,
    title: str,
    text: str = "",
    *,
    level: str = Alert.Level.WARNING,
    url: str = "",
    amount: int = 0,
) -> None:
    """Opens an alert, or counts one more occurrence on the one of the same code and subject that is not resolved.

    `title` says what happened, `text` what to do, `url` where. `amount`, in nano-USD, is added to those before.
    An acknowledged one stays so unless it has become worse.
    """
    now = timezone.now()
    values = {"level": level, "title": title[:300], "text": text, "url": url, "last_seen_at": now}
    live = Alert.objects.filter(code=code, subject=subject[:300], resolved_at=None)
    acknowledged = live.exclude(acknowledged_at=None)
    acknowledged.filter(last_seen_at__lt=now - QUIET).update(resolved_at=now)
    milder = _LEVELS[: _LEVELS.index(level)]
    if milder:
        acknowledged.filter(level__in=milder).update(acknowledged_at=None, acknowledged_by=None)
    if live.update(times=F("times") + 1, amount=F("amount") + amount, **values):
        return
    try:
        with transaction.atomic():
            Alert.objects.create(code=code, subject=subject[:300], amount=amount, **values)
    except IntegrityError:
        # Another process opened it between the two statements.
        live.update(times=F("times") + 1, amount=F("amount") + amount, **values)


def resolve(code: str, subject: str) -> bool:
    """Says that the cause of this code and subject is gone, acknowledged or not; False where there is no such alert."""
    live = Alert.objects.filter(code=code, subject=subject[:300], resolved_at=None)
    return bool(live.update(resolved_at=timezone.now()))


def acknowledge(alert: Alert, *, actor: Actor) -> bool:
    """Notes that a person knows of an open alert; False where somebody already does, or its cause is gone."""
    with transaction.atomic():
        changed = Alert.objects.filter(pk=alert.pk, acknowledged_at=None, resolved_at=None).update(
            acknowledged_at=timezone.now(), acknowledged_by=actor.user
        )
        if changed:
            record("alert.acknowledged", [Change(alert)], actor=actor)
    return bool(changed)
