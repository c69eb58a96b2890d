"""How the jobs of one model have gone of late: a query of its own, for moments that no rollup knows yet."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.db.models import Avg, Count, Q

from pricing.models import UsageRecord

WINDOWS = {"last_hour": timedelta(hours=1), "last_day": timedelta(days=1)}
_OUTCOMES = UsageRecord.Outcome


@dataclass(frozen=True, slots=True)
class Recent:
    """The jobs that ended in a window. `seconds`: what a success took on average, None where there is none to time."""

    succeeded: int
    failed: int
    canceled: int
    seconds: float | None

    @property
    def success_rate(self) -> Decimal | None:
        """Succeeded of succeeded and failed: who cancels says nothing about the model."""
        ended = self.succeeded + self.failed
        return Decimal(self.succeeded) / ended if ended else None


def recent(model_id: int, *, now: datetime) -> dict[str, Recent]:
    """The windows of WINDOWS by name. Answers from stored results say nothing about the model, and are left out."""
    asked: dict[str, Any] = {}
    for name, span in WINDOWS.items():
        inside = Q(created_at__gt=now - span)
        asked |= {f"{name}_{one}": Count("pk", filter=inside & Q(outcome=one)) for one in _OUTCOMES.values}
        asked[f"{name}_seconds"] = Avg("seconds", filter=inside & Q(outcome=_OUTCOMES.SUCCEEDED))
    rows = UsageRecord.objects.filter(model=model_id, is_cached=False, created_at__gt=now - max(WINDOWS.values()))
    found = rows.order_by().aggregate(**asked)
    return {
        name: Recent(**{one: found[f"{name}_{one}"] for one in _OUTCOMES.values}, seconds=found[f"{name}_seconds"])
        for name in WINDOWS
    }
