"""`events_url`: an address that opens the events of one job without a key, for a while; browsers send no headers."""

from __future__ import annotations

import base64

from django.conf import settings
from django.utils import timezone
from django.utils.crypto import constant_time_compare, salted_hmac

from genfeed.clients.errors import ApiError

_SALT = "genfeed.jobs.events.links"
# Addresses made within so many seconds are the same.
_STEP = 300
_HINT = "Get the job again: its events_url is a fresh one. Or send 'Authorization: Bearer gf_…'."


def events_url(job_id: str, *, base_url: str | None = None, now: float | None = None) -> str:
    """The address, good for EVENTS_URL_SECONDS to five minutes longer. `base_url`: PUBLIC_URL where it is None."""
    now = timezone.now().timestamp() if now is None else now
    expires = -(-int(now + settings.EVENTS_URL_SECONDS) // _STEP) * _STEP
    base = settings.PUBLIC_URL if base_url is None else base_url
    return f"{base.rstrip('/')}/api/v1/jobs/{job_id}/events?token={expires}.{_signature(job_id, str(expires))}"


def check_token(job_id: str, token: str, *, now: float | None = None) -> None:
    """Raises ApiError `unauthorized` for a token that is not this job's, or whose time has passed."""
    expires, _, signature = token.partition(".")
    if not constant_time_compare(_signature(job_id, expires).encode(), signature.encode("utf-8", "replace")):
        raise ApiError("unauthorized", "The token of this address is not right.", _HINT)
    if int(expires) <= (timezone.now().timestamp() if now is None else now):
        raise ApiError("unauthorized", "The time of this address has passed.", _HINT)


def _signature(job_id: str, expires: str) -> str:
    digest = salted_hmac(_SALT, f"{job_id}\n{expires}", algorithm="sha256").digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")
