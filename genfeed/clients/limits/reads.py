"""The limit of all requests: tokens are leased by the second and process, and counted in memory.

A process takes from the database's bucket what it used in the last second, and gives back what is left over from it:
about one statement a second and key, whatever the number of requests. Leased tokens are used within a second and given
back within two or never, so that over any time all processes together let through at most what the bucket holds and
what fills it in two seconds more.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

from django.db import OperationalError, connection

from genfeed.clients.keys import Caller
from genfeed.clients.limits.buckets import Taken, take_up_to
from genfeed.clients.limits.of_callers import Limit, limits_of
from genfeed.clients.limits.telling import note, too_many

logger = logging.getLogger(__name__)

_LEASE_SECONDS = 1.0
_PATIENCE_SECONDS = 0.1


@dataclass(slots=True)
class _Lease:
    """What this process may still use of a bucket. Times are of the monotonic clock."""

    lock: Lock = field(default_factory=Lock)
    tokens: int = 0
    used: int = 0
    began: float = -1e9
    per_minute: int = 0
    # The bucket had no more: nothing is asked of it before.
    closed_until: float = 0.0
    left: int = 0
    wait: int = 0


# By bucket. Only those of keys that exist come here, so that nobody can fill the memory.
_leases: dict[str, _Lease] = {}


def limit_request(caller: Caller) -> None:
    """Counts one request of a key; raises ApiError `rate_limited`, with `retry_after` in seconds, if it is too many."""
    for limit in limits_of(caller, "reads"):
        lease = _leases.get(limit.bucket) or _leases.setdefault(limit.bucket, _Lease())
        with lease.lock:
            _use(lease, limit)


def try_request(caller: Caller) -> bool:
    """As `limit_request`, where that needs neither the database nor a wait; else nothing is counted and it is False."""
    now, held = time.monotonic(), []
    try:
        for limit in limits_of(caller, "reads"):
            lease = _leases.get(limit.bucket)
            if lease is None or not lease.lock.acquire(blocking=False):
                return False
            held.append((lease, limit))
            if not lease.tokens or lease.per_minute != limit.per_minute or now - lease.began >= _LEASE_SECONDS:
                return False
        for lease, limit in held:
            _take_one(lease, limit)
        return True
    finally:
        for lease, _ in held:
            lease.lock.release()


def forget() -> None:
    """Drops all leases, as a process does that ends."""
    _leases.clear()


def _use(lease: _Lease, limit: Limit) -> None:
    now = time.monotonic()
    if lease.per_minute != limit.per_minute:
        # What was closed under another limit need not be now.
        lease.per_minute, lease.closed_until = limit.per_minute, 0.0
    age = now - lease.began
    if now >= lease.closed_until and (age >= _LEASE_SECONDS or not lease.tokens):
        # As much as in the second before; within a second that needs more, as much again as it used already.
        # A twentieth of a second's share is no loss where it is not used.
        wanted = max(lease.used, limit.per_minute // 1200, 1)
        back = lease.tokens if age < 2 * _LEASE_SECONDS else 0
        if age >= _LEASE_SECONDS:
            lease.began, lease.used = now, 0
        _renew(lease, limit, min(wanted, limit.per_minute) or 1, back=back, now=now)
    if not lease.tokens:
        raise too_many(limit, wait=round((lease.closed_until - now) * 1_000_000))
    _take_one(lease, limit)


def _take_one(lease: _Lease, limit: Limit) -> None:
    lease.tokens -= 1
    lease.used += 1
    note(limit, left=lease.left + lease.tokens, wait=lease.wait)


def _renew(lease: _Lease, limit: Limit, wanted: int, *, back: int, now: float) -> None:
    try:
        with _impatiently():
            taken = take_up_to(wanted, limit.bucket, per_minute=limit.per_minute, back=back)
        is_dry = taken.count < wanted
    except OperationalError:
        # Somebody writes for long. Reads need no database otherwise: they go on at the pace of the limit, unrecorded.
        logger.warning("%s could not be asked; at most a second's share is granted", limit.bucket)
        taken, is_dry = Taken(min(wanted, limit.per_minute // 60 or 1), left=0, wait=0), True
    lease.tokens, lease.left, lease.wait = taken.count, taken.left, taken.wait
    if is_dry:
        lease.closed_until = max(lease.began + _LEASE_SECONDS, now + taken.wait / 1_000_000)


@contextmanager
def _impatiently() -> Iterator[None]:
    """SQLite has one writer at a time, and a sync may be it for a while; row locks of PostgreSQL are short."""
    if connection.vendor != "sqlite":
        yield
        return
    sqlite: Any = connection
    patience, sqlite.patience_seconds = sqlite.patience_seconds, _PATIENCE_SECONDS
    try:
        yield
    finally:
        sqlite.patience_seconds = patience
