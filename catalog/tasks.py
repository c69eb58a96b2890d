"""Entry points of the background worker."""

from django.conf import settings

from catalog import discovery, key_ages
from catalog.providers import base
from genfeed.journal import request_ids


def sync_all() -> str:
    """The six-hourly sync of every provider that can be asked; one provider's failure stops no other."""
    request_ids.begin()
    if settings.CATALOG_SOURCE == "cloud":
        return "the catalog comes from the cloud, which is asked every hour"
    results = []
    for entry in base.in_use():
        run, is_new = discovery.request_sync(entry.slug, trigger="schedule")
        results.append(f"{entry.slug}: {'queued' if is_new else 'already ' + run.status}")
    return ", ".join(results)


def remind_of_provider_keys() -> int:
    """Once a day: tell staff of keys at providers that should be changed; returns of how many."""
    request_ids.begin()
    return key_ages.remind_of_provider_keys()
