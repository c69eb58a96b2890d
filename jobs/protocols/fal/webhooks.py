"""`fal_webhook`: the end of a request told as fal tells it, signed as fal signs, with a key of our own.

The key follows from the installation's signing key and signs nothing else. Receivers find its public part in the JWKS.
"""

from __future__ import annotations

import base64
import hashlib
from functools import lru_cache
from typing import Any

import orjson
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings
from django.http import HttpResponse

from jobs.models import Job
from jobs.protocols.fal.results import ending_of

PROTOCOL = "fal"
# What ends a request; nothing else is told.
KINDS = frozenset({"job.succeeded", "job.failed", "job.canceled"})
_PURPOSE = b"genfeed: webhooks in fal's form"
_LONGEST = 256_000


def message_body(job: Job) -> str:
    """The JSON text that tells of the end of a request."""
    ending = ending_of(job)
    told: dict[str, Any] = {"request_id": job.pk, "gateway_request_id": job.pk, "status": "OK", "error": None}
    if ending.error:
        told |= {"status": "ERROR", "error": f"Invalid status code: {ending.status}"}
    body = orjson.dumps(told | {"payload": ending.body})
    if len(body) > _LONGEST:
        # As fal does where a payload can't be sent; the result is there all the same.
        why = "The payload is too large for a webhook. Get the result by the request_id."
        body = orjson.dumps(told | {"payload": None, "payload_error": why})
    return body.decode()


def signed_headers(request_id: str, client_id: int, *, at: int, body: bytes) -> dict[str, str]:
    """The headers of a message that is sent at `at` (seconds since 1970)."""
    user, digest = f"client-{client_id}", hashlib.sha256(body).hexdigest()
    message = "\n".join([request_id, user, str(at), digest]).encode()
    return {
        "X-Fal-Webhook-Request-Id": request_id,
        "X-Fal-Webhook-User-Id": user,
        "X-Fal-Webhook-Timestamp": str(at),
        "X-Fal-Webhook-Signature": _key(settings.CATALOG_SIGNING_KEY).sign(message).hex(),
    }


def jwks() -> HttpResponse:
    """The public key, as a set of JSON Web Keys."""
    raw = _key(settings.CATALOG_SIGNING_KEY).public_key().public_bytes_raw()
    key = {"kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA", "kid": hashlib.sha256(raw).hexdigest()[:16]}
    key["x"] = base64.urlsafe_b64encode(raw).decode().rstrip("=")
    answer = HttpResponse(orjson.dumps({"keys": [key]}), content_type="application/json")
    answer.headers["Cache-Control"] = "public, max-age=3600"
    return answer


@lru_cache(maxsize=2)
def _key(signing_key: str) -> Ed25519PrivateKey:
    seed = base64.b64decode(signing_key.strip())
    return Ed25519PrivateKey.from_private_bytes(HKDF(SHA256(), 32, None, _PURPOSE).derive(seed))
