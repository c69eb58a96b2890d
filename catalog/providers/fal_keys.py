"""fal's public keys, by which its webhooks are known: asked for in the background, so that none waits for them."""

from __future__ import annotations

import base64
import binascii
import threading
import time

import httpx
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from django.conf import settings

from catalog.providers.bounded import BoundedClient

_KEPT_SECONDS = 3600.0
# Unknown signatures may not make us ask fal for its keys again and again.
_REFETCH_SECONDS = 30.0
_FIRST_SECONDS = 1.0
_TIMEOUT = 5.0
# Each costs a look at every webhook that is not genuine; fal has one or two.
_MOST_KEYS = 20


class KeySet:
    """The keys that are known, at once; a thread asks for them anew when they are an hour old or may have changed."""

    def __init__(self) -> None:
        self._keys: list[Ed25519PublicKey] = []
        self._asked = float("-inf")
        self._is_asking = False
        self._lock = threading.Lock()

    def keys(self) -> list[Ed25519PublicKey]:
        """The keys; empty where fal was not reached yet."""
        self._ask_after(_KEPT_SECONDS)
        return self._keys

    def are_all(self, keys: list[Ed25519PublicKey]) -> bool:
        """Whether these are the keys that fal has now, so that what fits none of them is not fal's.

        Where that is not known they are asked for, and a later call knows.
        """
        is_asking = self._ask_after(_REFETCH_SECONDS)
        return bool(keys) and keys is self._keys and not is_asking

    def refresh(self) -> None:
        """Asks fal, and waits for it; what can't be fetched leaves the keys that are known."""
        try:
            self._keys = fetch() or self._keys
        finally:
            with self._lock:
                self._asked, self._is_asking = time.monotonic(), False

    def forget(self) -> None:
        """Forgets the keys; for tests."""
        self._keys, self._asked = [], float("-inf")

    def _ask_after(self, seconds: float) -> bool:
        """Begins to ask where fal was last asked so long ago; whether it is being asked."""
        with self._lock:
            age = time.monotonic() - self._asked
            if not self._is_asking and age >= (seconds if self._keys else _FIRST_SECONDS):
                self._is_asking = True
                threading.Thread(target=self.refresh, name="fal's keys", daemon=True).start()
            return self._is_asking


key_set = KeySet()


def fetch() -> list[Ed25519PublicKey]:
    """fal's keys; empty where they could not be read."""
    try:
        with BoundedClient(timeout=_TIMEOUT, trust_env=False) as http:
            answer = http.get(f"{settings.FAL_REST_URL}/.well-known/jwks.json")
        rows = answer.json()["keys"] if answer.status_code == 200 else []
    except (httpx.HTTPError, ValueError, KeyError, TypeError):
        return []
    found = []
    for row in rows[:_MOST_KEYS] if isinstance(rows, list) else []:
        try:
            text = row["x"]
            raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
            found.append(Ed25519PublicKey.from_public_bytes(raw))
        except (KeyError, TypeError, ValueError, binascii.Error):
            continue
    return found
