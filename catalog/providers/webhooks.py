"""What a provider's webhook can be: genuine, not genuine, or not to be told yet. Each provider reads its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass


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
