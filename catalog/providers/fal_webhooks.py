"""Webhooks of fal: is this really fal's, and what does it say.

fal signs request id, user id, unix time and hex(sha256(raw body)), a line each, with Ed25519; any key of its JWKS may
have done it, and moments more than 300 s away are refused. A signature proves fal, not our account: a job's own token
and a look at the result with our own key decide.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx
import orjson
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from django.conf import settings

WINDOW_SECONDS = 300
_KEPT_SECONDS = 3600.0
# Unknown signatures may not make us ask fal for its keys again and again.
_REFETCH_SECONDS = 30.0
_TIMEOUT = 5.0


class NotFromFalError(ValueError):
    """A call that fal did not sign, or not now; the message says what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Told:
    """What a genuine webhook says. Its body is only a hint that there is something to look at."""

    request_id: str
    user_id: str
    status: str


class KeySet:
    """fal's public keys, kept for an hour and asked for again when a signature fits none of them."""

    def __init__(self) -> None:
        self._keys: list[Ed25519PublicKey] = []
        self._asked = float("-inf")
        self._lock = threading.Lock()

    def keys(self, *, again: bool = False) -> list[Ed25519PublicKey]:
        """The keys; `again` asks anew, but not more often than every half minute."""
        if self._is_due(again):
            with self._lock:
                # Whoever waited for another's question has its answer now.
                if self._is_due(again):
                    self._keys = _fetch() or self._keys
                    self._asked = time.monotonic()
        return self._keys

    def _is_due(self, again: bool) -> bool:
        age = time.monotonic() - self._asked
        return age >= (_REFETCH_SECONDS if again or not self._keys else _KEPT_SECONDS)

    def forget(self) -> None:
        """Forgets the keys; for tests."""
        self._keys, self._asked = [], float("-inf")


key_set = KeySet()


def verify(headers: Mapping[str, str], body: bytes, *, now: float | None = None) -> Told:
    """What the webhook says; raises NotFromFalError unless fal signed it within the last 300 s."""
    request_id, user_id, stamp, signature = (
        headers.get(f"X-Fal-Webhook-{name}", "") for name in ("Request-Id", "User-Id", "Timestamp", "Signature")
    )
    if not (request_id and user_id and stamp and signature):
        raise NotFromFalError("a header of the signature is missing")
    if (
        not (stamp.isascii() and stamp.isdigit())
        or abs((time.time() if now is None else now) - int(stamp)) > WINDOW_SECONDS
    ):
        raise NotFromFalError(f"its timestamp is more than {WINDOW_SECONDS} s away")
    try:
        signed = bytes.fromhex(signature)
    except ValueError:
        raise NotFromFalError("its signature is no hexadecimal number") from None
    message = "\n".join([request_id, user_id, stamp, hashlib.sha256(body).hexdigest()]).encode()
    if not (_fits(key_set.keys(), signed, message) or _fits(key_set.keys(again=True), signed, message)):
        raise NotFromFalError("its signature fits none of fal's keys")
    return _read(request_id, user_id, body)


def _fits(keys: list[Ed25519PublicKey], signature: bytes, message: bytes) -> bool:
    for key in keys:
        try:
            key.verify(signature, message)
        except InvalidSignature:
            continue
        return True
    return False


def _read(request_id: str, user_id: str, body: bytes) -> Told:
    try:
        said: Any = orjson.loads(body)
    except orjson.JSONDecodeError:
        said = {}
    told = said.get("request_id") if isinstance(said, dict) else None
    if isinstance(told, str) and told and told != request_id:
        raise NotFromFalError("its body speaks of another request than its headers")
    status = str(said.get("status", "")) if isinstance(said, dict) else ""
    return Told(request_id[:80], user_id[:80], status[:20])


def _fetch() -> list[Ed25519PublicKey]:
    """fal's keys; empty where they could not be read, and then the ones that are known go on."""
    try:
        answer = httpx.get(f"{settings.FAL_REST_URL}/.well-known/jwks.json", timeout=_TIMEOUT, trust_env=False)
        rows = answer.json()["keys"] if answer.status_code == 200 else []
    except (httpx.HTTPError, ValueError, KeyError, TypeError):
        return []
    found = []
    for row in rows if isinstance(rows, list) else []:
        try:
            text = row["x"]
            raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
            found.append(Ed25519PublicKey.from_public_bytes(raw))
        except (KeyError, TypeError, ValueError, binascii.Error):
            continue
    return found
