"""The older model shape `id, name, provider, category, pricing{…}, enabled`, kept for programs written against it."""

from typing import Any

from catalog.models import AIModel


def convert_to_existing_schema(model: AIModel) -> dict[str, Any]:
    """A model in the legacy shape: JSON-serialisable; `pricing` holds selling prices in USD, {} where none is known."""
    return {
        "id": model.endpoint_id,
        "name": model.name,
        "provider": model.provider.slug,
        "category": model.category,
        "pricing": model.legacy_pricing,
        "enabled": model.enabled,
    }
