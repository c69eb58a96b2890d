"""The statement of a month: what a client's balance was, what moved it, and what it became; to the nano."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from django.db.models import BigIntegerField, Count, F, OuterRef, QuerySet, Subquery, Sum, Value
from django.db.models.functions import Coalesce
from django.utils import timezone as clock

from genfeed.clients.models import Client
from pricing.models import Account, LedgerTransaction, UsageRecord
from pricing.usage.days import BadDayError, day_starts, local_day, next_month

Kind = LedgerTransaction.Kind


@dataclass(frozen=True, slots=True)
class FundingLine:
    """Money that a person put in or took out."""

    at: datetime
    kind: str
    amount: int
    reference: str


@dataclass(frozen=True, slots=True)
class ModelLine:
    """What the jobs of a model were charged (nano-USD) in the month; jobs without a record of their model: "other"."""

    model: str
    provider: str
    jobs: int
    charges: int
    corrections: int
    refunds: int

    @property
    def total(self) -> int:
        return self.charges + self.corrections - self.refunds


@dataclass(frozen=True, slots=True)
class Statement:
    """A month by the client's clock. A balance is what was paid in and not charged yet, held money included.

    `closing = opening + funding − charges − corrections + refunds`, all nano-USD.
    """

    client: Client
    first: date
    starts_at: datetime
    ends_at: datetime
    opening: int
    funding: tuple[FundingLine, ...]
    models: tuple[ModelLine, ...]

    @property
    def month(self) -> str:
        return f"{self.first:%Y-%m}"

    @property
    def is_final(self) -> bool:
        """Whether the month is over."""
        return self.ends_at <= clock.now()

    def funded(self, kind: str) -> int:
        return sum(line.amount for line in self.funding if line.kind == kind)

    @property
    def charges(self) -> int:
        return sum(line.charges for line in self.models)

    @property
    def corrections(self) -> int:
        return sum(line.corrections for line in self.models)

    @property
    def refunds(self) -> int:
        return sum(line.refunds for line in self.models)

    @property
    def closing(self) -> int:
        used = sum(line.total for line in self.models)
        return self.opening + sum(line.amount for line in self.funding) - used


def statement_of(client: Client, first: date) -> Statement:
    """The statement of the month that begins with the day `first`. Raises BadDayError for one that has not begun."""
    if first > local_day(clock.now(), client.timezone):
        raise BadDayError(f"The month {first:%Y-%m} has not begun yet.")
    starts_at, ends_at = day_starts(first, client.timezone), day_starts(next_month(first), client.timezone)
    moved = LedgerTransaction.objects.filter(account__client=client, at__gte=starts_at, at__lt=ends_at).order_by()
    return Statement(
        client=client,
        first=first,
        starts_at=starts_at,
        ends_at=ends_at,
        opening=_balance_before(client.pk, starts_at),
        funding=tuple(
            FundingLine(row.at, row.kind, row.funded, row.reference)
            for row in moved.exclude(funded=0).order_by("at", "pk")
        ),
        models=_models(moved),
    )


def _balance_before(client_id: int, moment: datetime) -> int:
    """What the client had at a moment: what it has now without all that came since, read in one statement."""
    since = LedgerTransaction.objects.filter(account=OuterRef("pk"), at__gte=moment).order_by().values("account")
    change = since.annotate(change=Sum(F("funded") - F("spent"))).values("change")
    rows = Account.objects.filter(client_id=client_id).annotate(
        before=F("funded") - F("spent") - Coalesce(Subquery(change, output_field=BigIntegerField()), Value(0))
    )
    return rows.values_list("before", flat=True).first() or 0


def _models(moved: QuerySet[LedgerTransaction]) -> tuple[ModelLine, ...]:
    of_job = UsageRecord.objects.filter(job=OuterRef("job")).order_by()
    rows = (
        moved.filter(kind__in=[Kind.SETTLE, Kind.CORRECTION, Kind.REFUND])
        .exclude(job="")
        .annotate(
            model=Subquery(of_job.values("model__endpoint_id")),
            provider=Subquery(of_job.values("model__provider__slug")),
        )
        .values("model", "provider", "kind")
        .annotate(jobs=Count("pk"), amount=Sum("spent"))
    )
    found: dict[tuple[str, str], dict[str, tuple[int, int]]] = {}
    for row in rows:
        names = (row["model"] or "other", row["provider"] or "")
        found.setdefault(names, {})[row["kind"]] = (row["jobs"], row["amount"])
    return tuple(
        ModelLine(
            model=model,
            provider=provider,
            jobs=sums.get(Kind.SETTLE, (0, 0))[0],
            charges=sums.get(Kind.SETTLE, (0, 0))[1],
            corrections=sums.get(Kind.CORRECTION, (0, 0))[1],
            refunds=-sums.get(Kind.REFUND, (0, 0))[1],
        )
        for (model, provider), sums in sorted(found.items())
    )
