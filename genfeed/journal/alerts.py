"""Raising and acknowledging alerts."""

from django.db import IntegrityError, transaction
from django.db.models import F
from django.utils import timezone

from genfeed.journal.audit import Actor, Change, record
from genfeed.journal.models import Alert


def raise_alert(
    code: str, subject: str, title: str, text: str = "", *, level: str = Alert.Level.WARNING, url: str = ""
) -> None:
    """Opens an alert, or counts one more occurrence on the open one of the same code and subject."""
    values = {"level": level, "title": title[:300], "text": text, "url": url, "last_seen_at": timezone.now()}
    open_alert = Alert.objects.filter(code=code, subject=subject[:300], acknowledged_at=None)
    if open_alert.update(times=F("times") + 1, **values):
        return
    try:
        with transaction.atomic():
            Alert.objects.create(code=code, subject=subject[:300], **values)
    except IntegrityError:
        # Another process opened it between the two statements.
        open_alert.update(times=F("times") + 1, **values)


def resolve(code: str, subject: str) -> bool:
    """Closes the open alert of this code and subject because its cause is gone; False where there is none."""
    return bool(
        Alert.objects.filter(code=code, subject=subject[:300], acknowledged_at=None).update(
            acknowledged_at=timezone.now()
        )
    )


def acknowledge(alert: Alert, *, actor: Actor) -> bool:
    """Marks an open alert as dealt with; False where somebody already did."""
    with transaction.atomic():
        changed = Alert.objects.filter(pk=alert.pk, acknowledged_at=None).update(
            acknowledged_at=timezone.now(), acknowledged_by=actor.user
        )
        if changed:
            record("alert.acknowledged", [Change(alert)], actor=actor)
    return bool(changed)
