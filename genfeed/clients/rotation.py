"""Rotating keys: a successor takes over while the old key still works for a while; and reminders to do so."""

from __future__ import annotations

from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from genfeed.clients.keys import ROTATION_ALERT, Bounds, alert_subject, create_key, forget
from genfeed.clients.models import ApiKey
from genfeed.journal import alerts, links
from genfeed.journal.audit import Actor, Change, record
from genfeed.journal.models import Alert, OutboxEvent

LONGEST_OVERLAP = timedelta(days=30)


class CannotRotateError(ValueError):
    """Why a key gets no successor, and what to do instead."""


def rotate_key(key: ApiKey, *, overlap: timedelta, actor: Actor) -> tuple[ApiKey, str]:
    """Makes a key that takes this one's place, and returns it with its text, which can't be shown again.

    The successor has the same name, scopes, bounds and end. The old key goes on for `overlap`, 0 to 30 days, and never
    longer than it would have; other processes see that it ended within `keys.CACHE_SECONDS`. Raises CannotRotateError.
    """
    if not timedelta(0) <= overlap <= LONGEST_OVERLAP:
        raise CannotRotateError(f"The overlap must be 0 to {LONGEST_OVERLAP.days} days.")
    with transaction.atomic():
        old = ApiKey.objects.select_for_update(of=("self",)).select_related("client").get(pk=key.pk)
        if old.state != "active":
            raise CannotRotateError(f"The key {old.prefix}… is {old.state}; make a new one instead.")
        if old.replaced_by_id:
            raise CannotRotateError(f"The key {old.prefix}… has been rotated already; rotate its successor instead.")
        made, text = create_key(
            old.client,
            actor=actor,
            # A test key of before that was refused may have it.
            scopes=[scope for scope in old.scopes if not (old.is_test and scope == "admin")],
            name=old.name,
            is_test=old.is_test,
            expires_at=old.expires_at,
            bounds=Bounds(old.allowed_models, old.denied_models, old.jobs_per_minute, old.reads_per_minute),
        )
        before = old.expires_at
        ends = timezone.now() + overlap
        old.expires_at = min(ends, before) if before else ends
        old.replaced_by = made
        old.save(update_fields=["expires_at", "replaced_by"])
        change = Change(old, {"expires_at": before}, {"expires_at": old.expires_at, "replaced_by": str(made)})
        record("api_key.rotated", [change], actor=actor)
        alerts.resolve(ROTATION_ALERT, alert_subject(old))
    forget(old)
    return made, text


def remind_of_rotation() -> int:
    """Tells staff and clients of keys that are older than KEY_ROTATION_DAYS, once a key; returns of how many.

    Also closes the alerts of keys that ended without being rotated.
    """
    _resolve_ended()
    if not settings.KEY_ROTATION_DAYS:
        return 0
    old = timezone.now() - timedelta(days=settings.KEY_ROTATION_DAYS)
    due = _active().filter(created_at__lte=old, reminded_at=None).select_related("client").order_by("pk")
    return sum(_remind(key) for key in due)


def _active() -> QuerySet[ApiKey]:
    now = timezone.now()
    return ApiKey.objects.filter(
        Q(expires_at=None) | Q(expires_at__gt=now), revoked_at=None, replaced_by=None, client__is_active=True
    )


def _remind(key: ApiKey) -> bool:
    days = (timezone.now() - key.created_at).days
    with transaction.atomic():
        if not ApiKey.objects.filter(pk=key.pk, reminded_at=None).update(reminded_at=timezone.now()):
            # Another process got there first.
            return False
        alerts.raise_alert(
            ROTATION_ALERT,
            alert_subject(key),
            f"{key.client}: the key {key} is {days} days old",
            "Rotate it, or ask the client to: a successor takes over while the old key still works for a while.",
            url=links.to_page("clients_apikey_change", key.pk),
        )
        OutboxEvent.objects.create(
            kind="api_key.rotation_due",
            subject=key.public_id,
            client_id=key.client_id,
            payload={"id": key.public_id, "name": key.name, "prefix": key.prefix, "created_at": key.created_at,
                     "age_days": days},
        )  # fmt: skip
    return True


def _resolve_ended() -> None:
    subjects = Alert.objects.filter(code=ROTATION_ALERT, resolved_at=None).values_list("subject", flat=True)
    open_keys = {subject: int(subject.removeprefix("key:")) for subject in subjects}
    active = set(_active().filter(pk__in=open_keys.values()).values_list("pk", flat=True))
    for subject, key in open_keys.items():
        if key not in active:
            alerts.resolve(ROTATION_ALERT, subject)
