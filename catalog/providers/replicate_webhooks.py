"""Webhooks of Replicate: signed as Standard Webhooks are, with one secret for the whole account.

The secret is asked for with our key, in the background, so that no webhook waits for it: one that comes before is sent
again by Replicate for about a minute, and the job is looked at all the same.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import threading
import time
from collections.abc import Mapping
from typing import Any

import httpx
import orjson
from django.conf import settings
from django.utils import timezone

from catalog.providers.bounded import BoundedClient
from catalog.providers.webhooks import WINDOW_SECONDS, NotGenuineError, Told, UndecidedError, is_recent

_KEPT_SECONDS = 3600.0
_REFETCH_SECONDS = 30.0
_TIMEOUT = 5.0


class Secret:
    """The account's secret as far as it is known; a thread asks for it anew when it is old or may have changed."""

    def __init__(self) -> None:
        self._bytes = b""
        self._asked = float("-inf")
        self._is_asking = False
        self._lock = threading.Lock()

    def known(self) -> bytes:
        """The secret, empty where Replicate was not reached yet."""
        self._ask_after(_KEPT_SECONDS if self._bytes else 1.0)
        return self._bytes

    def is_sure(self, used: bytes) -> bool:
        """Whether this is the secret now, so that what does not fit it is not genuine."""
        return bool(used) and used == self._bytes and not self._ask_after(_REFETCH_SECONDS)

    def refresh(self) -> None:
        """Asks Replicate, and waits for it; what can't be fetched leaves what is known."""
        try:
            self._bytes = fetch() or self._bytes
        finally:
            with self._lock:
                self._asked, self._is_asking = time.monotonic(), False

    def forget(self) -> None:
        """Forgets it; for tests."""
        self._bytes, self._asked = b"", float("-inf")

    def _ask_after(self, seconds: float) -> bool:
        with self._lock:
            if not self._is_asking and time.monotonic() - self._asked >= seconds:
                self._is_asking = True
                threading.Thread(target=self.refresh, name="Replicate's secret", daemon=True).start()
            return self._is_asking


secret = Secret()


def fetch() -> bytes:
    """The secret of the operator's account; empty where there is no key to ask with, or it could not be read."""
    if not settings.REPLICATE_API_TOKEN:
        return b""
    try:
        with BoundedClient(timeout=_TIMEOUT, trust_env=False) as http:
            answer = http.get(
                f"{settings.REPLICATE_URL}/webhooks/default/secret",
                headers={"Authorization": f"Bearer {settings.REPLICATE_API_TOKEN}"},
            )
        key = answer.json()["key"] if answer.status_code == 200 else ""
        return base64.b64decode(str(key).removeprefix("whsec_"), validate=True)
    except (httpx.HTTPError, ValueError, KeyError, TypeError, binascii.Error):
        return b""


def verify(headers: Mapping[str, str], body: bytes, *, now: float | None = None) -> Told:
    """What the webhook says; raises NotGenuineError unless it was signed within the last 300 s, and UndecidedError."""
    message_id, stamp, signatures = (headers.get(f"webhook-{name}", "") for name in ("id", "timestamp", "signature"))
    if not (message_id and stamp and signatures):
        raise NotGenuineError("a header of the signature is missing")
    if not is_recent(stamp, timezone.now().timestamp() if now is None else now):
        raise NotGenuineError(f"its timestamp is more than {WINDOW_SECONDS} s away")
    used = secret.known()
    if not used or not _fits(used, f"{message_id}.{stamp}.".encode() + body, signatures):
        if not secret.is_sure(used):
            raise UndecidedError("Replicate's secret is being asked for")
        raise NotGenuineError("its signature does not fit")
    return _read(body)


def _fits(used: bytes, message: bytes, signatures: str) -> bool:
    expected = base64.b64encode(hmac.new(used, message, hashlib.sha256).digest())
    given = [one.partition(",") for one in signatures.split()]
    return any(version == "v1" and hmac.compare_digest(text.encode(), expected) for version, _, text in given)


def _read(body: bytes) -> Told:
    try:
        said: Any = orjson.loads(body)
    except orjson.JSONDecodeError:
        said = None
    if not isinstance(said, dict) or not isinstance(said.get("id"), str) or not said["id"]:
        raise NotGenuineError("it names no prediction")
    return Told(said["id"][:80], "", str(said.get("status", ""))[:20])
