"""The number of the published catalog: every change that clients can see makes a new one, in its own transaction."""

from dataclasses import dataclass
from datetime import datetime

from django.db.models import F
from django.utils import timezone

from catalog.models import CatalogState


@dataclass(frozen=True)
class Revision:
    number: int
    at: datetime


def publish(reason: str) -> Revision:
    """Makes a new revision; call it inside the transaction of the change.

    The row stays locked until that transaction ends, so revisions become visible in the order of their numbers:
    a reader that has seen number 7 will not find out later about a 6.
    """
    now = timezone.now()
    values = {"published_at": now, "reason": reason[:200]}
    if not CatalogState.objects.filter(pk=1).update(revision=F("revision") + 1, **values):
        CatalogState.objects.get_or_create(pk=1)
        CatalogState.objects.filter(pk=1).update(revision=F("revision") + 1, **values)
    return Revision(CatalogState.objects.values_list("revision", flat=True).get(pk=1), now)


def current() -> Revision | None:
    """The newest revision; None before the first."""
    row = CatalogState.objects.filter(pk=1).values_list("revision", "published_at").first()
    return Revision(row[0], row[1]) if row and row[1] else None
