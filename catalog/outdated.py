"""A model's version turned out to be gone when it was run: the catalog is read again, not at its hour, but now."""

from __future__ import annotations

from catalog import discovery, upstreams
from catalog.models import AIModel


def read_again(model_id: int, version: str) -> bool:
    """Asks for a sync of where the model comes from, unless one has brought another version or is open already.

    Whether this call asked. What was added by hand is no sync's.
    """
    model = AIModel.objects.select_related("provider").filter(pk=model_id, upstream_version=version).first()
    if model is None or model.origin == AIModel.Origin.MANUAL or model.status == AIModel.Status.RETIRED:
        return False
    if upstreams.catch_up_from_other():
        return True
    _, is_new = discovery.request_sync(model.provider.slug, trigger="outdated")
    return is_new
