"""One reading of a provider's bill at a time: where it starts, its lease, and what becomes of it.

The watermark is the end of the last run that succeeded, and it moves in the transaction that closes a run: whatever
dies before leaves it where it was, and the next run reads the same again.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import IntegrityError, transaction
from django.db.models import Min
from django.utils import timezone

from catalog.models import Provider
from pricing.models import ReconciliationRun, UsageRecord

LEASE = timedelta(minutes=5)
# Bills come seconds to a minute after the request, some much later, and some are revised.
OVERLAP = timedelta(hours=2)
DEEP_OVERLAP = timedelta(days=7)
DEEP_EVERY = timedelta(days=1)
# fal shows bills of the last 90 days at once; nobody starts to look further back.
FIRST_LOOK = timedelta(days=90)

Status = ReconciliationRun.Status


class AlreadyRunningError(Exception):
    """Another process reads this provider's bill now."""


class LeaseLostError(Exception):
    """The run was closed by another process, because this one did not show itself for too long."""


def watermark(provider: Provider) -> datetime | None:
    """Until when the bill is read and brought to the books; None before the first run."""
    last = ReconciliationRun.objects.filter(provider=provider, status=Status.SUCCEEDED).order_by("-read_until").first()
    return last.read_until if last else None


def begin(
    provider: Provider, *, trigger: str, requested_by: str = "", deep: bool = False, now: datetime | None = None
) -> ReconciliationRun:
    """Opens a run from the watermark (and some way before it) until now. Raises AlreadyRunningError.

    Once a day, and where it is asked for (`deep`), a run reads back a week instead of two hours.
    """
    now = now or timezone.now()
    _close_dead(provider, now)
    good = ReconciliationRun.objects.filter(provider=provider, status=Status.SUCCEEDED)
    last = watermark(provider)
    deep = deep or not good.filter(is_deep=True, read_until__gt=now - DEEP_EVERY).exists()
    start = _first(now) if last is None else min(last, now) - (DEEP_OVERLAP if deep else OVERLAP)
    try:
        with transaction.atomic():
            return ReconciliationRun.objects.create(
                provider=provider,
                trigger=trigger,
                requested_by=requested_by[:200],
                is_deep=deep,
                read_from=start,
                read_until=now,
                started_at=now,
                lease_until=timezone.now() + LEASE,
            )
    except IntegrityError:
        raise AlreadyRunningError(f"The bill of {provider.name} is being read already.") from None


def hold_on(run: ReconciliationRun) -> None:
    """Renews the lease; inside a transaction also the proof that it held. Raises LeaseLostError."""
    _write(run, lease_until=timezone.now() + LEASE)


def succeed(run: ReconciliationRun) -> None:
    """Closes the run, and so moves the watermark. Raises LeaseLostError."""
    _write(run, status=Status.SUCCEEDED, finished_at=timezone.now(), report=run.report, problems=run.problems[:200])


def fail(run: ReconciliationRun, error: str) -> None:
    """Closes the run; the watermark stays."""
    ReconciliationRun.objects.filter(pk=run.pk, status=Status.RUNNING).update(
        status=Status.FAILED, finished_at=timezone.now(), error=error[:1000], report=run.report
    )
    run.refresh_from_db()


def _write(run: ReconciliationRun, **values: object) -> None:
    if not ReconciliationRun.objects.filter(pk=run.pk, status=Status.RUNNING).update(**values):
        raise LeaseLostError(f"The run {run} was closed by another process.")
    for name, value in values.items():
        setattr(run, name, value)


def _close_dead(provider: Provider, now: datetime) -> None:
    ReconciliationRun.objects.filter(provider=provider, status=Status.RUNNING, lease_until__lt=timezone.now()).update(
        status=Status.FAILED,
        finished_at=now,
        error="The process that read this bill died; the next run reads the same again.",
    )


def _first(now: datetime) -> datetime:
    """Where the first run starts: a little before the first job that a provider can have billed."""
    used = UsageRecord.objects.exclude(request_id="").aggregate(first=Min("created_at"))["first"]
    return max(now - FIRST_LOOK, min(used or now, now) - timedelta(days=1))
