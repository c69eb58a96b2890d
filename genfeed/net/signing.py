"""Signatures of outgoing webhooks, as the Standard Webhooks specification has them (version v1: HMAC with SHA-256)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Iterable

PREFIX = "whsec_"
_SECRET_BYTES = 32


def new_secret() -> str:
    """`whsec_` and 32 random bytes in base64."""
    return PREFIX + base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()


def signed_headers(own: Iterable[str], *, message_id: str, at: int, body: bytes) -> dict[str, str]:
    """The three headers of a message that is sent at `at` (seconds since 1970), signed with each of the secrets.

    Several secrets are those of a rotation: a receiver that knows one of them finds its own signature.
    """
    signatures = [f"v1,{_sign(secret, f'{message_id}.{at}.'.encode() + body)}" for secret in own]
    return {"webhook-id": message_id, "webhook-timestamp": str(at), "webhook-signature": " ".join(signatures)}


def _sign(secret: str, content: bytes) -> str:
    key = base64.b64decode(secret.removeprefix(PREFIX))
    return base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()
