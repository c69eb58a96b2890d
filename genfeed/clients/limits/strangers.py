"""Unknown keys are slowed down by the address that tries them, in the memory of each web process."""

from __future__ import annotations

import time
from collections import OrderedDict
from ipaddress import IPv6Address, ip_address
from threading import Lock

from django.conf import settings
from django.http import HttpRequest

from genfeed.clients.errors import ApiError

PER_MINUTE = 20
_MOST_ADDRESSES = 10_000
_SECONDS_EACH = 60 / PER_MINUTE

# address -> when it will have its full number of tries again, by the monotonic clock; the longest unseen come first.
_full_at: OrderedDict[str, float] = OrderedDict()
_lock = Lock()


def check_stranger(request: HttpRequest) -> None:
    """Refuses an address that has tried too many unknown keys: ApiError `rate_limited`, before anything is looked up.

    Not to be asked for keys that this process knows to be good: they go on, whoever else shares their address.
    """
    with _lock:
        wait = _full_at.get(_address_of(request), 0.0) + _SECONDS_EACH - 60 - time.monotonic()
    if wait > 0:
        pause = int(wait) + 1
        raise ApiError(
            "rate_limited",
            f"Too many unknown API keys came from your address: {PER_MINUTE} a minute are looked up.",
            f"Check the key, wait {pause} s, then try again.",
            details={"limit": "unknown_keys", "of": "address", "per_minute": PER_MINUTE},
            retry_after=pause,
        )


def count_stranger(request: HttpRequest) -> None:
    """Counts an unknown key against the address that it came from."""
    address = _address_of(request)
    with _lock:
        now = time.monotonic()
        _full_at[address] = max(_full_at.get(address, 0.0), now) + _SECONDS_EACH
        _full_at.move_to_end(address)
        if len(_full_at) > _MOST_ADDRESSES:
            _full_at.popitem(last=False)


def forget() -> None:
    """Forgets all addresses."""
    _full_at.clear()


def _address_of(request: HttpRequest) -> str:
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
