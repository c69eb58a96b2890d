"""The Ed25519 key that signs exports of the catalog, and keys of others as text."""

from __future__ import annotations

import base64
import binascii
from hashlib import sha256
from urllib.parse import urlsplit

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from django.conf import settings

_BYTES = 32


class BadKeyError(ValueError):
    """A text that is no Ed25519 key; the message says what one looks like."""


def signing_key() -> Ed25519PrivateKey:
    """The key of this installation (setting CATALOG_SIGNING_KEY); raises BadKeyError."""
    return Ed25519PrivateKey.from_private_bytes(_decoded(settings.CATALOG_SIGNING_KEY, "CATALOG_SIGNING_KEY"))


def own_public_key() -> str:
    """The public part of the key of this installation, 32 bytes in base64."""
    return base64.b64encode(signing_key().public_key().public_bytes_raw()).decode()


def check_public_key(text: str) -> str:
    """The key as it is written everywhere; raises BadKeyError for what is none."""
    return base64.b64encode(_decoded(text, "A public key")).decode()


def is_signed(content: bytes, signature: bytes, public_key: str) -> bool:
    """Whether the owner of the key signed this very content."""
    try:
        Ed25519PublicKey.from_public_bytes(_decoded(public_key, "A public key")).verify(signature, content)
    except (InvalidSignature, ValueError):
        return False
    return True


def is_open_to_forgers(url: str, public_key: str) -> bool:
    """Whether somebody in between could pretend to be whoever signs at an address: plain http to another
    machine, and no key that is known beforehand."""
    parts = urlsplit(url)
    return parts.scheme == "http" and parts.hostname not in ("localhost", "127.0.0.1", "::1") and not public_key


def fingerprint(public_key: str) -> str:
    """A few letters by which people compare keys."""
    digest = sha256(_decoded(public_key, "A public key")).hexdigest()[:24]
    return ":".join(digest[start : start + 4] for start in range(0, len(digest), 4))


def _decoded(text: str, what: str) -> bytes:
    try:
        found = base64.b64decode(text.strip(), validate=True)
    except (binascii.Error, ValueError):
        found = b""
    if len(found) != _BYTES:
        raise BadKeyError(f"{what} must be 32 bytes in base64 (44 characters).")
    return found
