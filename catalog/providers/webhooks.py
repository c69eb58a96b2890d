"""What a provider's webhook can be: genuine, not genuine, or not to be told yet. Each provider reads its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

WINDOW_SECONDS = 300


class NotGenuineError(ValueError):
    """A call that the provider did not sign, or not now; the message says what is wrong with it."""


class UndecidedError(Exception):
    """Whether the provider signed it can't be said yet: what tells is being asked for. It is to be sent again."""


@dataclass(frozen=True, slots=True)
class Told:
    """What a genuine webhook says. Its body is only a hint that there is something to look at."""

    request_id: str
    user_id: str
    status: str


# Headers and raw body; it waits for nothing. Raises NotGenuineError and UndecidedError.
Verify = Callable[[Mapping[str, str], bytes], Told]


def is_recent(stamp: str, now: float) -> bool:
    """Whether the text `stamp` is a unix time at most 300 s away from `now`. Strangers write it: it may be anything."""
    # A number of 400 digits is more than a float holds, and Python refuses to read one of 5,000.
    is_number = stamp.isascii() and stamp.isdigit() and len(stamp) <= 12
    return is_number and abs(now - int(stamp)) <= WINDOW_SECONDS
