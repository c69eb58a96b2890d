"""Entry points of the background worker."""

from django.conf import settings

from catalog.exchange.file_format import BadExportError
from catalog.models import SyncRun
from genfeed.cloud.downloading import CloudError
from genfeed.cloud.syncing import sync_from_cloud
from genfeed.journal import request_ids


def sync() -> str:
    """The hourly look whether the cloud has a newer catalog: one request where it has not.

    Each installation looks at a minute of its own, drawn when it was installed, so that they do not come all at once.
    """
    request_ids.begin()
    if settings.CATALOG_SOURCE != "cloud":
        return "the catalog comes from the providers"
    try:
        taken = sync_from_cloud(trigger="schedule")
    except (CloudError, BadExportError) as error:
        # An alert tells of it. Tried again by the queue it would not come out otherwise; in an hour it may.
        return f"failed: {error}"
    return f"took revision {taken.revision}" if taken.is_news else "nothing new"


def run_queued_sync(run_id: int) -> str:
    """A sync that a person asked for, where the catalog comes from the cloud: of all providers, the asked one too."""
    request_ids.begin()
    run = SyncRun.objects.select_related("provider").get(pk=run_id)
    try:
        taken = sync_from_cloud(
            trigger=run.trigger, full=run.full, requested_by=run.requested_by, queued={run.provider.slug: run}
        )
    except (CloudError, BadExportError) as error:
        return f"failed: {error}"
    return f"took revision {taken.revision}" if taken.is_news else "nothing new"
