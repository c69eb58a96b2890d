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
    configured, source = _connection(provider)
    late = good is None or (good.finished_at is not None and timezone.now() - good.finished_at > LATE_AFTER)
    return {
        "row": provider,
        "registered": base.is_registered(provider.slug),
        "configured": configured,
        "source": source,
        "newest": runs.first(),
        "good": good,
        "late": late,
        "models": AIModel.objects.filter(provider=provider).exclude(status=AIModel.Status.RETIRED).count(),
        "enabled": AIModel.objects.filter(provider=provider, enabled=True).count(),
    }


def _connection(provider: Provider) -> tuple[bool, str]:
    """Whether a key is set, and the address; neither where this installation no longer knows the provider."""
    if not base.is_registered(provider.slug):
        return False, ""
    interface = base.open_provider(provider.slug)
    try:
        return interface.is_configured(), interface.source
    finally:
        interface.close()
