"""How near the estimates come to the bills, and the books to both: figures for people, from bills alone."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from django.db.models import Avg, Count, F, Min, Q, QuerySet, Sum
from django.db.models.functions import Abs, Coalesce, TruncDate

from catalog.models import Provider
from pricing.models import Bill, ReconciliationRun, UsageRecord

State = Bill.State
DRIFT_PPM = 50_000
DRIFT_JOBS = 20
WITHIN_PPM = 10_000
# 999 of 1000 settlements are those of the bill; of fewer jobs than a thousand, one alone would be too many.
SETTLED_SHARE = Decimal("0.999")
SETTLED_JOBS = 1000
BILLED_BY = timedelta(hours=48)
_NAMED = 20


@dataclass(frozen=True, slots=True)
class Accuracy:
    """Estimates against bills before discounts; deviations in millionths of the bill. Without a model: of all."""

    count: int
    mean_ppm: float
    signed_ppm: float
    within: int
    exact: int
    model_id: int | None = None
    name: str = ""
    endpoint_id: str = ""

    @staticmethod
    def percent(ppm: float) -> str:
        """Millionths as percent with two decimals."""
        return f"{ppm / 10_000:.2f}"

    def share(self, part: int) -> str:
        """A count as percent of all, with two decimals."""
        return f"{100 * part / self.count:.2f}" if self.count else ""

    @property
    def mean(self) -> str:
        return self.percent(self.mean_ppm)

    @property
    def signed(self) -> str:
        return f"{self.signed_ppm / 10_000:+.2f}"

    @property
    def share_within(self) -> str:
        return self.share(self.within)

    @property
    def share_exact(self) -> str:
        return self.share(self.exact)

    @property
    def drifts(self) -> bool:
        return self.count >= DRIFT_JOBS and self.mean_ppm > DRIFT_PPM


_FIGURES: dict[str, Any] = {
    "count": Count("pk"),
    "mean_ppm": Avg(Abs("deviation_ppm")),
    "signed_ppm": Avg("deviation_ppm"),
    "within": Count("pk", filter=Q(deviation_ppm__range=(-WITHIN_PPM, WITHIN_PPM))),
    "exact": Count("pk", filter=Q(deviation_ppm=0)),
}


def overall(provider: Provider | None, *, since: datetime) -> Accuracy | None:
    """All compared bills together; None where there is none."""
    found = _compared(provider, since).aggregate(**_FIGURES)
    return Accuracy(**_floats(found)) if found["count"] else None


def by_model(provider: Provider | None, *, since: datetime) -> list[Accuracy]:
    """The compared bills of each model, the worst mean deviation first."""
    rows: Any = (
        _compared(provider, since)
        .values("model_id", name=F("model__name"), model_endpoint=F("model__endpoint_id"))
        .annotate(**_FIGURES)
    )
    rows = sorted(rows, key=lambda row: (-row["mean_ppm"], row["model_endpoint"]))
    return [Accuracy(endpoint_id=row.pop("model_endpoint"), **_floats(row)) for row in rows]


def drifting(provider: Provider, *, since: datetime) -> list[Accuracy]:
    """The models, and all together, whose estimates are more than 5 % off over at least 20 jobs."""
    together = overall(provider, since=since)
    every: Iterable[Accuracy] = [*by_model(provider, since=since), *([together] if together else [])]
    return [one for one in every if one.drifts]


@dataclass(frozen=True, slots=True)
class Settled:
    """The jobs that were billed, and those of them whose settlement had booked what the bill says before discounts."""

    jobs: int
    as_billed: int

    @property
    def share(self) -> Decimal | None:
        return Decimal(self.as_billed) / self.jobs if self.jobs else None

    @property
    def is_short(self) -> bool:
        """Whether too few were settled as billed, over enough jobs to say so."""
        return self.share is not None and self.jobs >= SETTLED_JOBS and self.share < SETTLED_SHARE


def settled_as_billed(provider: Provider, *, since: datetime) -> Settled:
    """How many of a provider's bills the settlements had met to the nano-dollar, a discount of the account apart."""
    ours = Bill.objects.filter(provider=provider, at__gte=since, usage__isnull=False)
    same = Q(subtotal=F("booked_cost")) | Q(total=F("booked_cost"))
    return Settled(**ours.aggregate(jobs=Count("pk"), as_billed=Count("pk", filter=same)))


def _compared(provider: Provider | None, since: datetime) -> QuerySet[Bill]:
    bills = Bill.objects.filter(at__gte=since).exclude(deviation_ppm=None)
    # What waits or was refused says nothing about the estimate.
    bills = bills.exclude(state__in=[State.QUARANTINED, State.DISPUTED])
    return bills if provider is None else bills.filter(provider=provider)


def _floats(row: dict[str, Any]) -> dict[str, Any]:
    # PostgreSQL averages into decimals; these are ratios for people, no money.
    return row | {"mean_ppm": float(row["mean_ppm"]), "signed_ppm": float(row["signed_ppm"])}


@dataclass(frozen=True, slots=True)
class Missing:
    """Jobs that cost something and were not billed in time; `cost` in nano-USD, `jobs` the first of their ids."""

    count: int
    cost: int
    jobs: tuple[str, ...]


def missing_bills(provider: Provider, *, now: datetime) -> Missing:
    """Jobs settled more than 48 h ago, since bills are read, that no bill was found for."""
    runs = ReconciliationRun.objects.filter(provider=provider, status=ReconciliationRun.Status.SUCCEEDED)
    first = runs.aggregate(first=Min("read_from"))["first"]
    if first is None:
        return Missing(0, 0, ())
    rows = UsageRecord.objects.filter(
        model__provider=provider, created_at__gte=first, created_at__lt=now - BILLED_BY, cost__gt=0, bill=None
    ).exclude(request_id="")
    found = rows.aggregate(n=Count("pk"), cost=Coalesce(Sum("cost"), 0))
    return Missing(found["n"], found["cost"], tuple(rows.order_by("pk").values_list("job", flat=True)[:_NAMED]))


@dataclass(frozen=True, slots=True)
class Day:
    """What was billed on a day and what our settlements had booked for it, nano-USD."""

    day: date
    bills: int
    billed: int
    booked: int
    as_settled: int
    unmatched: int
    waiting: int

    @property
    def difference(self) -> int:
        """Billed for our jobs above what their settlements had booked."""
        return self.billed - self.unmatched - self.booked

    @property
    def share_as_settled(self) -> str:
        """The percentage of our jobs whose settlement had booked exactly what was billed."""
        return f"{Decimal(100 * self.as_settled) / self.bills:.2f}" if self.bills else ""


def by_day(provider: Provider | None, *, since: datetime) -> list[Day]:
    """Billed against booked, the newest day first; days in UTC."""
    bills = Bill.objects.filter(at__gte=since)
    if provider is not None:
        bills = bills.filter(provider=provider)
    ours = Q(usage__isnull=False)
    rows = (
        bills.annotate(day=TruncDate("at"))
        .values("day")
        .annotate(
            bills=Count("pk", filter=ours),
            billed=Coalesce(Sum("total"), 0),
            booked=Coalesce(Sum("booked_cost", filter=ours), 0),
            as_settled=Count("pk", filter=ours & Q(total=F("booked_cost"))),
            unmatched=Coalesce(Sum("total", filter=~ours), 0),
            waiting=Coalesce(Sum("total", filter=Q(state=State.QUARANTINED)), 0),
        )
        .order_by("-day")
    )
    return [Day(**row) for row in rows]
