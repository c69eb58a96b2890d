"""Addresses of stored files that need no key: signed, and good for a while only."""

from __future__ import annotations

import base64
import hmac
from urllib.parse import quote, urlencode

from django.conf import settings
from django.utils import timezone
from django.utils.crypto import constant_time_compare, salted_hmac

# Addresses made within the same hour are the same, so that caches and pages find them again.
_STEP = 3_600
_SALT = "genfeed.jobs.assets.links"


def signed_url(asset_id: str, name: str, *, base_url: str | None = None, now: float | None = None) -> str:
    """The address of a file, good for ASSET_URL_SECONDS to an hour longer. `base_url`: PUBLIC_URL where it is None."""
    now = timezone.now().timestamp() if now is None else now
    expires = -(-int(now + settings.ASSET_URL_SECONDS) // _STEP) * _STEP
    base = settings.PUBLIC_URL if base_url is None else base_url
    query = urlencode({"exp": expires, "sig": _signature(asset_id, name, str(expires))})
    return f"{base.rstrip('/')}/assets/{asset_id}/{quote(name)}?{query}"


def is_signed(asset_id: str, name: str, expires: str, signature: str) -> bool:
    """Whether we signed this address; whether it is still good is `is_over`'s question."""
    return constant_time_compare(_signature(asset_id, name, expires).encode(), signature.encode())


def is_over(expires: str, *, now: float | None = None) -> bool:
    """Whether the time of a signed address has passed."""
    return int(expires) <= (timezone.now().timestamp() if now is None else now)


def _signature(asset_id: str, name: str, expires: str) -> str:
    digest: hmac.HMAC = salted_hmac(_SALT, f"{asset_id}\n{name}\n{expires}", algorithm="sha256")
    return base64.urlsafe_b64encode(digest.digest()).decode().rstrip("=")
