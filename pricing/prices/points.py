"""Prices over time: points are added, never edited; what the guards stop waits for a person."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from django.db import transaction
from django.utils import timezone

from catalog.models import AIModel, SyncRun
from pricing.models import PricePoint
from pricing.money import format_decimal
from pricing.prices import alerts as price_alerts
from pricing.prices.guards import Offered, Verdict, judge, offered, same_price
from pricing.selling.publishing import lock_models

_SYSTEM = "system"


@dataclass(frozen=True)
class Outcome:
    """What became of a price that was read.

    `first`: there was none that counted; `unchanged`; `changed`: taken over; `held`: waits for a person now;
    `waiting`: the same one waits already; `rejected`: a person said no to it; `kept`: a price that outranks it stands.
    """

    kind: Literal["first", "unchanged", "changed", "held", "waiting", "rejected", "kept"]
    why: str = ""
    percent: float | None = None
    point: PricePoint | None = None

    @property
    def changes_cost(self) -> bool:
        return self.kind in ("first", "changed")


def record_point(
    model: AIModel,
    *,
    source: str,
    raw_unit: str,
    unit_price: object,
    currency: str = "USD",
    sync_run: SyncRun | None = None,
    now: datetime | None = None,
) -> Outcome:
    """Takes in one price of a model, past the guards; raises NotMoney for one that makes no sense.

    The caller settles afterwards (`pricing.selling.publishing.settle`), in the same transaction, where `changes_cost`.
    """
    new = offered(raw_unit, unit_price, currency)
    return record_points({model.pk: new}, source=source, sync_run=sync_run, now=now)[model.pk]


def record_points(
    news: Mapping[int, Offered], *, source: str, sync_run: SyncRun | None = None, now: datetime | None = None
) -> dict[int, Outcome]:
    """Takes in prices by model key, all or none; returns what became of each. As `record_point`."""
    now = now or timezone.now()
    with transaction.atomic():
        lock_models(news)
        live = PricePoint.objects.filter(model__in=news.keys())
        current = {point.model_id: point for point in live.filter(standing=PricePoint.Standing.CURRENT)}
        held = {point.model_id: point for point in live.filter(standing=PricePoint.Standing.HELD)}
        refused = _refused_by_people(news, current)
        verdicts = {key: judge(current.get(key), new, source=source) for key, new in news.items()}
        outcomes = {
            key: _outcome(verdict, news[key], held.get(key), refused.get(key)) for key, verdict in verdicts.items()
        }
        _end(current, [key for key, outcome in outcomes.items() if outcome.changes_cost], now)
        _withdraw(held, outcomes, now)
        points = [
            _point(key, news[key], outcome, source=source, sync_run=sync_run, now=now)
            for key, outcome in outcomes.items()
            if outcome.changes_cost or outcome.kind == "held"
        ]
        PricePoint.objects.bulk_create(points, batch_size=200)
        made = {point.model_id: point for point in points}
        outcomes = {
            key: Outcome(outcome.kind, outcome.why, outcome.percent, made[key]) if key in made else outcome
            for key, outcome in outcomes.items()
        }
        price_alerts.tell(
            held=[made[key] for key, outcome in outcomes.items() if outcome.kind == "held"],
            changed=[(current[key], made[key]) for key, verdict in verdicts.items() if verdict.alerts],
        )
    return outcomes


def _outcome(verdict: Verdict, new: Offered, held: PricePoint | None, refused: PricePoint | None) -> Outcome:
    if verdict.kind != "held":
        return Outcome(verdict.kind, verdict.why, verdict.percent)
    if held and same_price(held, new):
        return Outcome("waiting", held.why, verdict.percent, held)
    if refused and same_price(refused, new):
        return Outcome("rejected", refused.why, verdict.percent, refused)
    return Outcome("held", verdict.why, verdict.percent)


def _refused_by_people(news: Mapping[int, Offered], current: Mapping[int, PricePoint]) -> dict[int, PricePoint]:
    """The newest rejected price of each model, where nothing was taken over since."""
    points = PricePoint.objects.filter(model__in=news.keys(), standing=PricePoint.Standing.REJECTED)
    newest: dict[int, PricePoint] = {}
    for point in points.exclude(decided_by=_SYSTEM).order_by("pk"):
        taken = current.get(point.model_id)
        if taken is None or taken.pk < point.pk:
            newest[point.model_id] = point
    return newest


def _end(current: Mapping[int, PricePoint], keys: list[int], now: datetime) -> None:
    ended = [current[key].pk for key in keys if key in current]
    PricePoint.objects.filter(pk__in=ended).update(standing=PricePoint.Standing.PAST, effective_to=now)


def _withdraw(held: Mapping[int, PricePoint], outcomes: Mapping[int, Outcome], now: datetime) -> None:
    """Ends held prices that the provider itself has taken back or replaced."""
    gone = [point for key, point in held.items() if outcomes[key].kind not in ("waiting", "kept")]
    PricePoint.objects.filter(pk__in=[point.pk for point in gone]).update(
        standing=PricePoint.Standing.REJECTED,
        decided_by=_SYSTEM,
        decided_at=now,
        why="The provider has named another price since.",
    )
    price_alerts.resolve_held(gone)


def _point(
    key: int, new: Offered, outcome: Outcome, *, source: str, sync_run: SyncRun | None, now: datetime
) -> PricePoint:
    is_held = outcome.kind == "held"
    return PricePoint(
        model_id=key,
        source=source,
        standing=PricePoint.Standing.HELD if is_held else PricePoint.Standing.CURRENT,
        unit=new.unit,
        raw_unit=new.raw_unit,
        unit_price=format_decimal(new.unit_price),
        currency=new.currency,
        change_percent=outcome.percent,
        why=outcome.why[:300],
        sync_run=sync_run,
        seen_at=now,
        effective_from=None if is_held else now,
    )
