"""The cloud as one of the things that we depend on out there: whether it can be reached, what is done once it can."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.conf import settings
from django.utils import timezone

from catalog import upstreams
from genfeed.journal.models import Alert
from pricing.models import CloudCatalog

NAME = "cloud"
# It is looked at every hour; a catalog younger than this needs no look of its own.
_YOUNG = timedelta(hours=2)


def register() -> None:
    """Makes the cloud known; it counts where the catalog comes from it."""
    upstreams.register(
        NAME, address=lambda: settings.CLOUD_URL, catch_up=catch_up, is_used=is_used, synced_at=checked_at
    )


def is_used() -> bool:
    """Whether the catalog comes from a cloud."""
    return settings.CATALOG_SOURCE == "cloud"


def checked_at() -> datetime | None:
    """When the cloud last said that what is here is its newest catalog; None: never."""
    return CloudCatalog.objects.filter(pk=1, revision__gt=0).values_list("checked_at", flat=True).first()


def trouble() -> Alert | None:
    """What the last sync failed with; None where it went well."""
    return Alert.objects.filter(code="cloud_sync_failed", subject=NAME, resolved_at=None).first()


def catch_up() -> None:
    """Has the worker look for news, where something was missed."""
    # Here, as the queue's models are there only once all apps are ready.
    from django_q.tasks import async_task

    at = checked_at()
    if trouble() or at is None or timezone.now() - at > _YOUNG:
        async_task("genfeed.cloud.tasks.sync", task_name="cloud-is-back")
