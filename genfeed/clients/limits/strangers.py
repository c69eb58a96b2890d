"""Unknown keys are slowed down by the address that tries them, in the memory of each web process."""

from __future__ import annotations

import time
from collections import OrderedDict
from threading import Lock

from django.http import HttpRequest

from genfeed.clients.errors import ApiError
from genfeed.clients.limits.addresses import address_of

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
        wait = _full_at.get(address_of(request), 0.0) + _SECONDS_EACH - 60 - time.monotonic()
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
    address = address_of(request)
    with _lock:
        now = time.monotonic()
        _full_at[address] = max(_full_at.get(address, 0.0), now) + _SECONDS_EACH
        _full_at.move_to_end(address)
        if len(_full_at) > _MOST_ADDRESSES:
            _full_at.popitem(last=False)


def forget() -> None:
    """Forgets all addresses."""
    _full_at.clear()
