"""What the page Reconciliation shows, gathered once: for the page, and as CSV."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, Sum
from django.db.models.functions import Coalesce
from django.utils import timezone

from catalog.models import Provider
from catalog.providers import base
from catalog.sync_runs import ensure_providers
from pricing.models import Bill, ReconciliationRun
from pricing.money import format_usd
from pricing.reconciling.accuracy import Accuracy, Day, Missing, by_day, by_model, missing_bills, overall
from pricing.reconciling.reconcile import is_configured
from pricing.reconciling.runs import watermark
from pricing.usage.tables import as_csv

LATE = timedelta(hours=3)


@dataclass(frozen=True, slots=True)
class Standing:
    """How far a provider's bill is read. `state`: not_configured, never, late or current."""

    provider: Provider
    state: str
    watermark: datetime | None
    last: ReconciliationRun | None
    credit: dict[str, Any] | None
    missing: Missing


@dataclass(frozen=True, slots=True)
class Figures:
    """Everything on the page; amounts of `waiting` and `orphans` are (count, USD)."""

    standings: list[Standing]
    days: list[tuple[Day, dict[str, str]]]
    waiting: list[Bill]
    orphans: tuple[int, str]
    overall: Accuracy | None
    models: list[Accuracy]
    as_settled: str
    booked: str


def figures(*, since: datetime) -> Figures:
    """The figures of all providers since a moment."""
    days = by_day(None, since=since)
    jobs, same = sum(day.bills for day in days), sum(day.as_settled for day in days)
    ours = Bill.objects.filter(at__gte=since, usage__isnull=False)
    right = ours.filter(state__in=[Bill.State.MATCHED, Bill.State.CORRECTED, Bill.State.ACCEPTED, Bill.State.KEPT])
    orphans = Bill.objects.filter(state=Bill.State.ORPHAN, at__gte=since).aggregate(
        n=Count("pk"), total=Coalesce(Sum("total"), 0)
    )
    waiting = Bill.objects.filter(state=Bill.State.QUARANTINED).select_related("model", "usage")
    return Figures(
        standings=[_standing(provider) for provider in ensure_providers().values() if _is_known(provider)],
        days=[(day, _shown(day)) for day in days],
        waiting=list(waiting[:100]),
        orphans=(orphans["n"], format_usd(orphans["total"])),
        overall=overall(None, since=since),
        models=by_model(None, since=since),
        as_settled=f"{100 * same / jobs:.2f}" if jobs else "",
        booked=f"{100 * right.count() / jobs:.2f}" if jobs else "",
    )


def figures_csv(found: Figures) -> str:
    """Billed against booked by day; amounts in USD."""
    head = ("day", "jobs", "billed_usd", "booked_at_settlement_usd", "difference_usd", "without_job_usd", "waiting_usd",
            "percent_as_settled")  # fmt: skip
    names = ("billed", "booked", "difference", "unmatched", "waiting")
    return as_csv(
        head, ((day.day, day.bills, *map(shown.get, names), day.share_as_settled) for day, shown in found.days)
    )


def _shown(day: Day) -> dict[str, str]:
    names = ("billed", "booked", "difference", "unmatched", "waiting")
    return {name: format_usd(getattr(day, name)) for name in names}


def _is_known(provider: Provider) -> bool:
    return base.is_registered(provider.slug)


def _standing(provider: Provider) -> Standing:
    mark = watermark(provider)
    last = ReconciliationRun.objects.filter(provider=provider).first()
    good = ReconciliationRun.objects.filter(provider=provider, status=ReconciliationRun.Status.SUCCEEDED).first()
    if not is_configured(provider.slug):
        state = "not_configured"
    elif mark is None:
        state = "never"
    else:
        state = "late" if mark < timezone.now() - LATE else "current"
    credit = good.report.get("credit") if good else None
    return Standing(provider, state, mark, last, credit, missing_bills(provider, now=timezone.now()))
