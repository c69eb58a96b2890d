"""Time that tests move: for the process by its monotonic clock, for the database by moving the buckets."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

import pytest
from django.db.models import F

from genfeed.clients.limits import reads
from genfeed.clients.limits.buckets import take_up_to
from genfeed.clients.limits.reads import _Lease
from genfeed.clients.models import RateBucket


@dataclass
class Clock:
    """Stands still unless moved; the database's own goes on meanwhile, by the moments that a test takes."""

    now: float = field(default_factory=time.monotonic)
    unpaid: float = 0.0
    asked: int = 0

    def advance(self, seconds: float) -> None:
        self.now += seconds
        self.unpaid += seconds

    def take_up_to(self, *args: Any, **more: Any) -> Any:
        """The bucket is moved only when somebody asks it."""
        self.asked += 1
        self.settle()
        return take_up_to(*args, **more)

    def settle(self) -> None:
        RateBucket.objects.update(full_at=F("full_at") - round(self.unpaid * 1_000_000))
        self.unpaid = 0.0


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(reads, "take_up_to", made.take_up_to)
    monkeypatch.setattr(reads, "time", made)
    monkeypatch.setattr(Clock, "monotonic", lambda self: self.now, raising=False)
    return made


class Processes:
    """Several processes in one: each has leases of its own."""

    def __init__(self, count: int) -> None:
        self.leases: list[dict[str, _Lease]] = [{} for _ in range(count)]

    def use(self, number: int, monkeypatch: pytest.MonkeyPatch) -> None:
        """What runs next, runs in this one."""
        monkeypatch.setattr(reads, "_leases", self.leases[number])
