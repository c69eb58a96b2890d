"""Ed25519 signatures of webhooks, and the key set to check them with."""

from base64 import urlsafe_b64encode
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

USER_ID = "sandbox-user"


@dataclass(slots=True)
class Signer:
    """The key of this server, and one that nobody knows for forged signatures. Both are new with every process."""

    key: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)
    strange_key: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)

    def headers(
        self, request_id: str, body: bytes, *, now: float, user_id: str = USER_ID, is_forged: bool = False
    ) -> dict[str, str]:
        """The four headers of a webhook with this body."""
        timestamp = str(int(now))
        message = "\n".join((request_id, user_id, timestamp, sha256(body).hexdigest())).encode()
        key = self.strange_key if is_forged else self.key
        return {
            "x-fal-webhook-request-id": request_id,
            "x-fal-webhook-user-id": user_id,
            "x-fal-webhook-timestamp": timestamp,
            "x-fal-webhook-signature": key.sign(message).hex(),
        }

    def key_set(self) -> dict[str, Any]:
        """The public key as a JSON Web Key Set, without padding."""
        raw = self.key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        return {"keys": [{"kty": "OKP", "crv": "Ed25519", "x": urlsafe_b64encode(raw).rstrip(b"=").decode()}]}
