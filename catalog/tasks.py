"""Entry points of the background worker."""

from catalog import discovery
from catalog.models import SyncRun
from catalog.providers import base
from genfeed.journal import request_ids


def run_queued_sync(run_id: int) -> str:
    """Runs one sync that was asked for; the text is what django-q2 shows as the task's result."""
    request_ids.begin()
    run = discovery.run_sync(SyncRun.objects.select_related("provider").get(pk=run_id))
    return f"{run.status}: {run.error}" if run.error else str(run.status)


def sync_all() -> str:
    """The six-hourly sync of every registered provider; one provider's failure stops no other."""
    request_ids.begin()
    results = []
    for entry in base.registered():
        run, is_new = discovery.request_sync(entry.slug, trigger="schedule")
        results.append(f"{entry.slug}: {'queued' if is_new else 'already ' + run.status}")
    return ", ".join(results)
