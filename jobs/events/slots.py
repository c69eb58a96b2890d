"""How many streams a web process holds at once: each costs memory, and a client must not take them all."""

from __future__ import annotations

from collections import Counter
from threading import Lock

from django.conf import settings

from genfeed.clients.errors import ApiError

_RETRY_AFTER = 5
_open: Counter[int] = Counter()
_lock = Lock()


class Slot:
    """A place for one stream of a client, until it is given back."""

    def __init__(self, client_id: int) -> None:
        """Raises ApiError `rate_limited` where there is none left."""
        with _lock:
            if _open[client_id] >= settings.MAX_CLIENT_STREAMS:
                raise _too_many("client", settings.MAX_CLIENT_STREAMS)
            if _open.total() >= settings.MAX_STREAMS:
                raise _too_many("process", settings.MAX_STREAMS)
            _open[client_id] += 1
        self._client_id: int | None = client_id

    def give_back(self) -> None:
        """Frees the place, once."""
        with _lock:
            if self._client_id is not None:
                _open[self._client_id] -= 1
                if not _open[self._client_id]:
                    del _open[self._client_id]
                self._client_id = None


def _too_many(of: str, most: int) -> ApiError:
    whose = "by this client" if of == "client" else "here"
    return ApiError(
        "rate_limited",
        f"{most} event streams are open {whose}, and that is the limit.",
        "Close some; follow all jobs by one stream of /api/v1/events; or ask for the events without a stream.",
        details={"limit": "streams", "of": of, "at_once": most},
        retry_after=_RETRY_AFTER,
    )
