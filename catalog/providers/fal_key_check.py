"""Whether fal accepts a key, asked without running anything."""

from __future__ import annotations

from django.conf import settings

from catalog.providers.base import KeyCheck, ProviderError, ProviderKeyError, ProviderRejectedError
from catalog.providers.fal_bills import account_balance
from catalog.providers.reading import Backoff, JsonReader

_MODEL = "fal-ai/flux/dev"


def check_key(key: str) -> KeyCheck:
    """Asks for one price, the cheapest call that needs a key, then for the credit, which not every key may see."""
    reader = JsonReader(
        provider="fal.ai",
        base_url=settings.FAL_PLATFORM_URL,
        headers={"Authorization": f"Key {key}"},
        timeout=settings.CATALOG_TIMEOUT_SECONDS,
        # Somebody waits for the answer.
        backoff=Backoff(retries=1, base=settings.FAL_RETRY_DELAY / 2),
        connections=1,
    )
    try:
        reader.get("/models/pricing", {"endpoint_id": [_MODEL]})
    except ProviderKeyError as error:
        if "locked" in str(error).lower():
            return _exhausted()
        return KeyCheck("invalid", "fal refuses this key. Make a new one at fal.ai/dashboard/keys.")
    except ProviderRejectedError:
        # A 404 for the price: the key was accepted before the model was looked up.
        pass
    except ProviderError as error:
        return KeyCheck("unreachable", f"The key could not be checked. {error}")
    else:
        try:
            if account_balance(reader).balance <= 0:
                return _exhausted()
        except ProviderError:
            # Keys of scope API may not see it: then the first job tells.
            pass
    finally:
        reader.close()
    return KeyCheck("valid", "fal accepts the key.")


def _exhausted() -> KeyCheck:
    return KeyCheck(
        "exhausted", "fal accepts the key, but its account has no credit: top it up at fal.ai/dashboard/billing."
    )
