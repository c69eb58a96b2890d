"""What we depend on out there, and whether it can be reached: one row each, which all processes share.

Every real call tells (submits, looks, syncs). What is offline is asked now and then whether it is back, and when it is,
its catalog is caught up after a random wait, so that many installations do not come at once.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import F, Max, Q
from django.utils import timezone

from catalog import discovery
from catalog.models import Provider, SyncRun, Upstream
from catalog.providers import base, calls

logger = logging.getLogger(__name__)

# Calls in a row without a connection until it counts as offline.
OFFLINE_AFTER = 3
# A row of what answers is written so often at most, by each process.
_WRITE_EVERY = 30.0
_FIRST_PROBE, _LONGEST_PROBE = 5.0, 60.0
_CATCH_UP_WITHIN = (5.0, 120.0)
# A catalog younger than this needs no sync of its own.
_YOUNG = timedelta(hours=6)
_REMEMBERED_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Standing:
    """An upstream as last found. `reached_at` is late by up to half a minute."""

    name: str
    is_online: bool
    reached_at: datetime | None
    offline_since: datetime | None
    reason: str
    # Whether models are run there; else only the catalog comes from it.
    runs_models: bool = True


@dataclass(frozen=True, slots=True)
class Kind:
    """How an upstream that is offline is asked for, and what is done when it is back.

    `is_used`: whether anything depends on it as things are set. `synced_at`: when it last made sure of the catalog, of
    one that the whole catalog comes from.
    """

    address: Callable[[], str]
    catch_up: Callable[[], None]
    is_used: Callable[[], bool]
    synced_at: Callable[[], datetime | None]


_others: dict[str, Kind] = {}
_written: dict[str, float] = {}
_remembered: tuple[float, list[Standing], datetime | None] | None = None


def register(
    name: str,
    *,
    address: Callable[[], str],
    catch_up: Callable[[], None],
    is_used: Callable[[], bool] = lambda: True,
    synced_at: Callable[[], datetime | None] = lambda: None,
) -> None:
    """Makes something known that is no provider; providers are by themselves. As `Kind`."""
    _others[name] = Kind(address, catch_up, is_used, synced_at)


def note_reached(name: str) -> None:
    """It answered. Written at most every half minute, but at once where it was not online."""
    now = time.monotonic()
    # Whether it is online is asked of the database: another process may have found it offline since.
    if now - _written.get(name, -_WRITE_EVERY) < _WRITE_EVERY and is_online(name):
        return
    at = timezone.now()
    row, is_new = Upstream.objects.get_or_create(name=name, defaults={"reached_at": at})
    if not is_new:
        back = {}
        if row.offline_since:
            # When, not at once: whoever comes back is not alone.
            back = {"sync_at": at + timedelta(seconds=random.uniform(*_CATCH_UP_WITHIN))}  # noqa: S311 - no secret
            logger.warning("%s can be reached again", name)
        Upstream.objects.filter(name=name).update(
            reached_at=at, failures=0, reason="", offline_since=None, probe_at=None, **back
        )
    _written[name] = now
    _forget_standing()


def note_unreachable(name: str, reason: str, *, times: int = 1) -> None:
    """No connection was made, so many times in a row; the third makes it offline."""
    _written.pop(name, None)
    Upstream.objects.get_or_create(name=name)
    rows = Upstream.objects.filter(name=name)
    rows.update(failures=F("failures") + times, reason=reason[:300])
    now = timezone.now()
    went = rows.filter(failures__gte=OFFLINE_AFTER, offline_since=None).update(
        offline_since=now, probe_at=now + timedelta(seconds=_FIRST_PROBE)
    )
    if went:
        logger.warning("%s can't be reached: %s", name, reason)
    _forget_standing()


def flush() -> None:
    """Writes down what calls of this process have found since the last time."""
    for name, seen in calls.take_seen().items():
        if seen.reached:
            note_reached(name)
        if seen.failures:
            note_unreachable(name, seen.reason, times=seen.failures)


def standings() -> list[Standing]:
    """All registered providers and whatever else is known, by name; remembered for a second."""
    return _look()[1]


def is_online(name: str) -> bool:
    """Whether it could be reached when it was last tried; what was never tried is taken to be."""
    return all(one.is_online for one in standings() if one.name == name)


def known() -> tuple[datetime | None, list[Standing]] | None:
    """`synced_at()` and `standings()`, as far as the database need not be asked now."""
    found = _remembered
    if found is None or time.monotonic() - found[0] >= _REMEMBERED_SECONDS:
        return None
    return found[2], found[1]


def synced_at() -> datetime | None:
    """When the catalog was last made sure of: by where all of it comes from, else the oldest of the providers' newest
    good syncs; None: never."""
    return _look()[2]


def catalog_age() -> int | None:
    """Seconds since the catalog was last made sure of."""
    return age_since(synced_at())


def age_since(at: datetime | None) -> int | None:
    """Seconds since then; None where it never was."""
    return None if at is None else max(0, int((timezone.now() - at).total_seconds()))


def forget() -> None:
    """Forgets what this process remembers, for tests."""
    _written.clear()
    calls.take_seen()
    _forget_standing()


def claim_probes() -> list[tuple[str, str]]:
    """What is to be asked now whether it is back, as names and addresses; each for one process alone."""
    now = timezone.now()
    claimed = []
    for row in Upstream.objects.filter(probe_at__lte=now, offline_since__isnull=False):
        away = (now - (row.offline_since or now)).total_seconds()
        wait = min(_LONGEST_PROBE, max(_FIRST_PROBE, away / 4)) * random.uniform(0.75, 1.25)  # noqa: S311 - no secret
        again = now + timedelta(seconds=wait)
        if Upstream.objects.filter(name=row.name, probe_at=row.probe_at).update(probe_at=again):
            address = _address(row.name)
            if address:
                claimed.append((row.name, address))
    return claimed


def catch_up() -> list[str]:
    """Has the catalogs of those that are back caught up, where their time has come; their names."""
    now = timezone.now()
    done = []
    for row in Upstream.objects.filter(sync_at__lte=now, offline_since=None):
        if not Upstream.objects.filter(name=row.name, sync_at=row.sync_at).update(sync_at=None):
            continue
        if row.name in _others:
            if _others[row.name].is_used():
                _others[row.name].catch_up()
        elif base.is_registered(row.name) and _is_behind(row.name, now):
            discovery.request_sync(row.name, trigger="online")
        done.append(row.name)
    return done


def catch_up_from_other() -> bool:
    """Has the catalog caught up from where all of it comes, if that is no provider; whether there is such a place."""
    used = [kind for kind in _others.values() if kind.is_used()]
    for kind in used:
        kind.catch_up()
    return bool(used)


def _is_behind(slug: str, now: datetime) -> bool:
    """Whether the newest sync failed, or the last good one is old."""
    runs = SyncRun.objects.filter(provider__slug=slug).defer("report")
    newest = runs.first()
    if newest is None or newest.status == SyncRun.Status.FAILED:
        return True
    return not runs.filter(status=SyncRun.Status.SUCCEEDED, finished_at__gt=now - _YOUNG).exists()


def _address(name: str) -> str:
    if name in _others:
        return _others[name].address()
    if not base.is_registered(name):
        return ""
    provider = base.open_provider(name)
    try:
        return provider.source
    finally:
        provider.close()


def _look() -> tuple[float, list[Standing], datetime | None]:
    global _remembered
    now = time.monotonic()
    if _remembered is None or now - _remembered[0] >= _REMEMBERED_SECONDS:
        rows = {row.name: row for row in Upstream.objects.all()}
        used = {name: kind for name, kind in _others.items() if kind.is_used()}
        names = sorted({*(rows.keys() - _others.keys()), *used, *(one.slug for one in base.registered())})
        good = Max("sync_runs__finished_at", filter=Q(sync_runs__status=SyncRun.Status.SUCCEEDED))
        synced = [at for at in Provider.objects.annotate(at=good).values_list("at", flat=True) if at]
        made_sure = [min(synced)] if synced else []
        made_sure += [at for kind in used.values() if (at := kind.synced_at())]
        _remembered = (now, [_standing(name, rows.get(name)) for name in names], max(made_sure, default=None))
    return _remembered


def _standing(name: str, row: Upstream | None) -> Standing:
    if row is None:
        return Standing(name, True, None, None, "", name not in _others)
    return Standing(name, row.offline_since is None, row.reached_at, row.offline_since, row.reason, name not in _others)


def _forget_standing() -> None:
    global _remembered
    _remembered = None
