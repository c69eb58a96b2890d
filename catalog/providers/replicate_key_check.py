"""Whether Replicate accepts a key, asked without running anything."""

from __future__ import annotations

from django.conf import settings

from catalog.providers.base import KeyCheck, ProviderError, ProviderKeyError
from catalog.providers.reading import Backoff, JsonReader


def check_key(key: str) -> KeyCheck:
    """Asks for the account of a key, with a connection of its own."""
    reader = JsonReader(
        provider="Replicate",
        base_url=settings.REPLICATE_URL,
        headers={"Authorization": f"Bearer {key}"},
        timeout=settings.CATALOG_TIMEOUT_SECONDS,
        # Somebody waits for the answer.
        backoff=Backoff(retries=1, base=settings.REPLICATE_RETRY_DELAY / 2),
        connections=1,
    )
    try:
        return check_by(reader)
    finally:
        reader.close()


def check_by(reader: JsonReader) -> KeyCheck:
    """Asks for the account of the key that the reader sends."""
    try:
        reader.get("/account", {})
    except ProviderKeyError:
        return KeyCheck("invalid", "Replicate refuses this key. Make a new one at replicate.com/account/api-tokens.")
    except ProviderError as error:
        return KeyCheck("unreachable", f"The key could not be checked. {error}")
    return KeyCheck("valid", "Replicate accepts the key.")
