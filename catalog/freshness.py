"""How fresh the catalog of a provider is."""

from datetime import timedelta
from typing import Any

from django.utils import timezone

from catalog.models import AIModel, Provider, SyncRun
from catalog.providers import base

# The schedule is six hours; later than this, something does not run.
LATE_AFTER = timedelta(hours=7)


def provider_state(provider: Provider) -> dict[str, Any]:
    """A provider with its newest syncs and how fresh its catalog is, for templates."""
    runs = SyncRun.objects.filter(provider=provider).defer("report")
    good = runs.filter(status=SyncRun.Status.SUCCEEDED).first()
    interface = base.open_provider(provider.slug)
    configured = interface.is_configured()
    source = interface.source
    interface.close()
    late = good is None or (good.finished_at is not None and timezone.now() - good.finished_at > LATE_AFTER)
    return {
        "row": provider,
        "configured": configured,
        "source": source,
        "newest": runs.first(),
        "good": good,
        "late": late,
        "models": AIModel.objects.filter(provider=provider).exclude(status=AIModel.Status.RETIRED).count(),
        "enabled": AIModel.objects.filter(provider=provider, enabled=True).count(),
    }
