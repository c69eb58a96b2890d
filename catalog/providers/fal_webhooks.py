"""Webhooks of fal: is this really fal's, and what does it say.

fal signs request id, user id, unix time and hex(sha256(raw body)), a line each, with Ed25519; any key of its JWKS may
have done it, and moments more than 300 s away are refused. A signature proves fal, not our account: a job's own token
and a look at the result with our own key decide.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import orjson
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from django.utils import timezone

from catalog.providers import fal_keys
from catalog.providers.webhooks import WINDOW_SECONDS, NotGenuineError, Told, UndecidedError, is_recent


def verify(headers: Mapping[str, str], body: bytes, *, now: float | None = None) -> Told:
    """What the webhook says; raises NotGenuineError unless fal signed it within the last 300 s.

    It waits for nothing: UndecidedError where the keys that would tell are not here yet.
    """
    request_id, user_id, stamp, signature = (
        headers.get(f"X-Fal-Webhook-{name}", "") for name in ("Request-Id", "User-Id", "Timestamp", "Signature")
    )
    if not (request_id and user_id and stamp and signature):
        raise NotGenuineError("a header of the signature is missing")
    if not is_recent(stamp, timezone.now().timestamp() if now is None else now):
        raise NotGenuineError(f"its timestamp is more than {WINDOW_SECONDS} s away")
    try:
        signed = bytes.fromhex(signature)
    except ValueError:
        raise NotGenuineError("its signature is no hexadecimal number") from None
    message = "\n".join([request_id, user_id, stamp, hashlib.sha256(body).hexdigest()]).encode()
    keys = fal_keys.key_set.keys()
    if not _fits(keys, signed, message):
        if not fal_keys.key_set.are_all(keys):
            raise UndecidedError("fal's keys are being asked for")
        raise NotGenuineError("its signature fits none of fal's keys")
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
        raise NotGenuineError("its body speaks of another request than its headers")
    status = str(said.get("status", "")) if isinstance(said, dict) else ""
    return Told(request_id[:80], user_id[:80], status[:20])
