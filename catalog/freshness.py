"""How fresh the catalog of a provider is."""

from datetime import timedelta
from typing import Any

from django.utils import timezone

from catalog import upstreams
from catalog.models import AIModel, Provider, SyncRun
from catalog.providers import base

# The schedule is six hours; later than this, something does not run.
LATE_AFTER = timedelta(hours=7)


def provider_state(provider: Provider) -> dict[str, Any]:
    """A provider with its newest syncs and how fresh its catalog is, for templates."""
    runs = SyncRun.objects.filter(provider=provider).defer("report")
    good = runs.filter(status=SyncRun.Status.SUCCEEDED).first()
    configured, source, needs_key = _connection(provider)
    # Without the key that it needs, nothing is expected of it.
    # Where the whole catalog comes from elsewhere, a look that found nothing new makes sure of it too.
    moments = [at for at in (good.finished_at if good else None, upstreams.synced_at()) if at]
    sure_at = max(moments, default=None)
    late = (configured or not needs_key) and (
        good is None or (sure_at is not None and timezone.now() - sure_at > LATE_AFTER)
    )
    return {
        "row": provider,
        "registered": base.is_registered(provider.slug),
        "configured": configured,
        "needs_key": needs_key,
        "key_setting": base.key_setting(provider.slug),
        "source": source,
        "standing": next((one for one in upstreams.standings() if one.name == provider.slug), None),
        "newest": runs.first(),
        "good": good,
        "late": late,
        "models": AIModel.objects.filter(provider=provider).exclude(status=AIModel.Status.RETIRED).count(),
        "enabled": AIModel.objects.filter(provider=provider, enabled=True).count(),
    }


def _connection(provider: Provider) -> tuple[bool, str, bool]:
    """Whether a key is set, the address, and whether the catalog needs a key; none of it for an unknown provider."""
    if not base.is_registered(provider.slug):
        return False, "", False
    interface = base.open_provider(provider.slug)
    try:
        return interface.is_configured(), interface.source, interface.needs_key_for_catalog
    finally:
        interface.close()
