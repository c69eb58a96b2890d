"""The one clock of a demo run: it goes at its usual pace, and jumps where it is told to.

Everything here reads the time from `django.utils.timezone.now`, which model fields hold by reference; so what is
replaced is the class that this function asks, in one place, for the run alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

from django.utils import timezone


class Clock:
    """What time it is. Threads may read while the one that owns it moves it."""

    def __init__(self) -> None:
        self._ahead = timedelta(0)

    @property
    def now(self) -> datetime:
        return datetime.now(UTC) + self._ahead

    def go_to(self, moment: datetime) -> None:
        """It is `moment` now, and goes on from there."""
        self._ahead = moment - datetime.now(UTC)

    def skip(self, seconds: float) -> None:
        """So many seconds pass at once."""
        self._ahead += timedelta(seconds=seconds)

    def be_right(self) -> None:
        """It tells the true time again."""
        self._ahead = timedelta(0)


@contextmanager
def moved_clock() -> Iterator[Clock]:
    """While the block runs, `timezone.now()` asks the clock that it gets."""
    clock = Clock()

    class Kind(type):
        def __instancecheck__(cls, instance: Any) -> bool:
            return isinstance(instance, datetime)

    class Moved(datetime, metaclass=Kind):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Any:
            return clock.now.astimezone(tz)

    timezone.datetime = Moved  # type: ignore[attr-defined]
    try:
        yield clock
    finally:
        timezone.datetime = datetime  # type: ignore[attr-defined]
