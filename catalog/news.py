"""Events about models, as the outbox keeps them until clients are told."""

from typing import Any

from catalog.models import AIModel
from genfeed.journal.models import OutboxEvent


def model_event(kind: str, row: AIModel, **more: Any) -> OutboxEvent:
    """An outbox event about a model, not saved; `more` is added to its payload. `price` is what everybody pays.

    Of a model that is one client's alone, only that client is told.
    """
    payload = {
        "id": row.endpoint_id,
        "provider": row.provider.slug,
        "name": row.name,
        "category": row.category,
        "media_type": row.media_type,
        "status": row.status,
        "enabled": row.enabled,
        "price": row.price,
        **more,
    }
    subject = f"{row.provider.slug}:{row.endpoint_id}"
    return OutboxEvent(kind=kind, subject=subject, client_id=row.client_id, payload=payload)
