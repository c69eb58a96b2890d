"""Where a request came from, for limits of those who are not known yet."""

from __future__ import annotations

from ipaddress import IPv6Address, ip_address

from django.conf import settings
from django.http import HttpRequest


def address_of(request: HttpRequest) -> str:
    """The caller's address as our own proxy saw it; of IPv6 the network of 64 bits that one customer has."""
    text = str(request.META.get("REMOTE_ADDR", ""))
    if settings.BEHIND_TLS:
        # What the caller wrote into the header comes first, what our proxy added comes last.
        text = request.headers.get("X-Forwarded-For", text).rpartition(",")[2].strip()
    try:
        address = ip_address(text)
    except ValueError:
        return text[:45]
    if isinstance(address, IPv6Address):
        return str(address.ipv4_mapped or IPv6Address(int(address) >> 64 << 64))
    return str(address)
