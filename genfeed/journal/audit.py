"""Writing to the audit: one call, in the transaction of the change that it tells of."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.db import models

from genfeed.journal import request_ids
from genfeed.journal.models import AuditEvent


@dataclass(frozen=True)
class Actor:
    """Who acts: a staff user, an API key (by its name), or the system itself."""

    name: str
    user: AbstractBaseUser | None = None

    @classmethod
    def of(cls, user: AbstractBaseUser | AnonymousUser) -> "Actor":
        if isinstance(user, AnonymousUser) or user.pk is None:
            return cls(name="anonymous")
        return cls(name=user.get_username(), user=user)


SYSTEM = Actor(name="system")


@dataclass(frozen=True)
class Change:
    """One object's change: the values before and after, only of what changed."""

    target: models.Model
    before: dict[str, Any] = field(default_factory=dict)
    after: dict[str, Any] = field(default_factory=dict)


def record(action: str, changes: Iterable[Change], *, actor: Actor, reason: str = "") -> int:
    """Adds an audit event for each change, in one statement a few hundred; returns how many."""
    events = [
        AuditEvent(
            actor_id=actor.user.pk if actor.user else None,
            actor_name=actor.name[:200],
            action=action,
            object_type=change.target._meta.label_lower,
            object_id=str(change.target.pk),
            object_name=str(change.target)[:300],
            before=change.before,
            after=change.after,
            reason=reason[:500],
            request_id=request_ids.current(),
        )
        for change in changes
    ]
    AuditEvent.objects.bulk_create(events, batch_size=500)
    return len(events)
