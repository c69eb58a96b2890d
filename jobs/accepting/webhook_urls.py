"""Addresses that clients want to be told at: looked at when they are given, and guarded again when they are called."""

from __future__ import annotations

import ipaddress
import socket

from django.conf import settings

from genfeed.clients.errors import ApiError
from genfeed.net.addresses import RefusedAddressError, is_public, read_address

_HINT = "Give an address of yours that anybody on the internet can reach, e.g. https://example.com/hooks/genfeed."


def check_webhook_url(url: str, *, field: str = "webhook_url") -> str:
    """The address; raises ApiError for one that can't be an https address (http only for hosts in SSRF_ALLOW).

    Names are looked up when they are called; addresses in numbers, in whatever notation, are looked at now.
    """
    try:
        address = read_address(url, settings.SSRF_ALLOW)
    except RefusedAddressError as error:
        raise ApiError("invalid_request", f"{field}: {error}.", _HINT) from None
    if address.pair in settings.SSRF_ALLOW:
        return url
    if address.scheme != "https":
        raise ApiError("invalid_request", f"{field} must be an https address.", _HINT)
    numeric = _numeric(address.host)
    if address.host.endswith("localhost") or (numeric is not None and not is_public(numeric)):
        raise ApiError("invalid_request", f"{field}: the host is not on the public internet.", _HINT)
    return url


def _numeric(host: str) -> str | None:
    """The IP address that a host in numbers stands for (also `2130706433` or `0x7f.1`), None for a name."""
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        pass
    try:
        return socket.inet_ntoa(socket.inet_aton(host))
    except OSError:
        return None
