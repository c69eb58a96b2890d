"""The one clock of a demo run: it goes at its usual pace, and jumps where it is told to.

Everything here reads the time from `django.utils.timezone.now`, which is told another time for the run alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from django.utils import timezone

from genfeed.clock import told_by


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
    clock, before = Clock(), timezone.datetime  # type: ignore[attr-defined]
    timezone.datetime = told_by(lambda: clock.now)  # type: ignore[attr-defined]
    try:
        yield clock
    finally:
        timezone.datetime = before  # type: ignore[attr-defined]
