"""Addresses that clients want to be told at: looked at when they are given, and guarded again when they are called."""

from __future__ import annotations

from urllib.parse import urlsplit

from django.conf import settings

from genfeed.clients.errors import ApiError

_HINT = "Give an address of yours that anybody on the internet can reach, e.g. https://example.com/hooks/genfeed."


def check_webhook_url(url: str) -> str:
    """The address; raises ApiError for one that can't be an https address (http only for hosts in SSRF_ALLOW)."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port, parts = None, None, urlsplit("")
    allowed = f"{host}:{port or (443 if parts.scheme == 'https' else 80)}" in settings.SSRF_ALLOW
    if (
        not host
        or parts.username
        or parts.password
        or (parts.scheme != "https" and not (allowed and parts.scheme == "http"))
    ):
        raise ApiError("invalid_request", "webhook_url must be an https address without a password.", _HINT)
    return url
