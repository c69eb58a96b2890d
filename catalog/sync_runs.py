"""One sync of a provider at a time, however many are asked for: an open `SyncRun` row is the lease.

A partial unique constraint allows one open run a provider. Whoever runs it holds a token and renews the lease with
every progress report; a process that died stops renewing, and the next request closes its run and starts a new one.
"""

import logging
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db import IntegrityError, OperationalError, connection, transaction
from django.utils import timezone

from catalog.models import Provider, SyncRun
from catalog.providers import base

logger = logging.getLogger(__name__)

LEASE = timedelta(seconds=120)
# A queued run that no worker has taken for this long was lost, e.g. with a worker's database queue.
QUEUED_AT_MOST = timedelta(minutes=30)
_REPORT_EVERY = 0.3


class LeaseLostError(Exception):
    """Another process took the run over (or closed it): nothing more may be written for it."""


def ensure_providers() -> dict[str, Provider]:
    """A row for every provider that can be asked as things stand, by slug."""
    return {entry.slug: provider_row(entry.slug) for entry in base.in_use()}


def provider_row(slug: str) -> Provider:
    """The row of a registered provider; raises UnknownProviderError."""
    found, _ = Provider.objects.get_or_create(slug=slug, defaults={"name": base.name_of(slug)})
    return found


def request_run(
    provider: Provider, *, trigger: str, requested_by: str = "", full: bool = False
) -> tuple[SyncRun, bool]:
    """The provider's open run, and whether it was made by this call; a dead one is closed first."""
    close_dead_run(provider)
    while True:
        open_run = SyncRun.objects.filter(provider=provider, status__in=SyncRun.OPEN).first()
        if open_run:
            return open_run, False
        try:
            with transaction.atomic():
                run = SyncRun.objects.create(
                    provider=provider,
                    trigger=trigger,
                    requested_by=requested_by,
                    full=full,
                    phase="waiting for a worker",
                )
            return run, True
        except IntegrityError:
            # Somebody else asked in the same moment: theirs is the run.
            continue


def close_dead_run(provider: Provider) -> bool:
    """Closes a run whose process stopped renewing its lease; True where there was one."""
    now = timezone.now()
    died = SyncRun.objects.filter(provider=provider, status=SyncRun.Status.RUNNING, lease_until__lt=now)
    lost = SyncRun.objects.filter(
        provider=provider, status=SyncRun.Status.QUEUED, requested_at__lt=now - QUEUED_AT_MOST
    )
    closed = died.update(
        status=SyncRun.Status.FAILED,
        finished_at=now,
        error="The process that ran this sync died; nothing was left half done.",
    )
    closed += lost.update(
        status=SyncRun.Status.FAILED, finished_at=now, error="No worker took this sync. Is the worker process running?"
    )
    return bool(closed)


@dataclass
class Lease:
    """The right to run one sync. `report` renews it, at most every 0.3 s; raises LeaseLostError once it is gone.

    `more_follows`: success does not close the run yet, because something else is done under the same lease.
    """

    run_id: int
    token: str
    on_progress: Callable[[str, int, int], None] | None = None
    more_follows: bool = False
    _phase: str = ""
    _reported: float = 0.0

    def report(self, phase: str, done: int, total: int) -> None:
        """Tells how far the sync is; a change of phase or its end is always written.

        What can't be written now, as others write for too long, is left out: outside of a transaction it only tells,
        and what is done in the end proves the lease itself.
        """
        if self.on_progress:
            self.on_progress(phase, done, total)
        now = time.monotonic()
        if phase == self._phase and done < total and now - self._reported < _REPORT_EVERY:
            return
        self._phase, self._reported = phase, now
        try:
            self._write(phase=phase, done=done, total=total, lease_until=timezone.now() + LEASE)
        except OperationalError as error:
            if connection.in_atomic_block:
                raise
            logger.warning("how far sync run %s is could not be written: %s", self.run_id, error)

    def finish(self, status: SyncRun.Status, **values: Any) -> None:
        """Closes the run. Inside a transaction this is also the proof that the lease still held."""
        if self.more_follows and status == SyncRun.Status.SUCCEEDED:
            self._write(lease_until=timezone.now() + LEASE, **values)
            return
        self._write(status=status, finished_at=timezone.now(), lease_until=None, phase="", **values)

    def prove(self) -> None:
        """Raises LeaseLostError unless the run is still ours; locks its row until the transaction ends."""
        self._write(lease_until=timezone.now() + LEASE)

    def _write(self, **values: Any) -> None:
        held = SyncRun.objects.filter(pk=self.run_id, status=SyncRun.Status.RUNNING, lease_token=self.token)
        if held.update(**values) != 1:
            raise LeaseLostError(f"Sync run {self.run_id} was taken over by another process.")


def claim(run: SyncRun, *, source: str = "") -> Lease | None:
    """Takes a queued run; None where another process was faster."""
    token = secrets.token_hex(16)
    now = timezone.now()
    taken = SyncRun.objects.filter(pk=run.pk, status=SyncRun.Status.QUEUED).update(
        status=SyncRun.Status.RUNNING,
        started_at=now,
        lease_until=now + LEASE,
        lease_token=token,
        phase="starting",
        source=source,
    )
    return Lease(run.pk, token) if taken else None
