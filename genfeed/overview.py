"""What the admin's start page says about the state of things."""

from datetime import timedelta
from typing import Any

from django.db.models import Count, Q
from django.utils import timezone

from catalog import revisions, upstreams
from catalog.availability import HELD_WORDS
from catalog.freshness import provider_state
from catalog.models import AIModel
from catalog.sync_runs import ensure_providers
from genfeed.journal.models import Alert
from jobs.dispatching import standing
from pricing.estimates.coverage import whole_coverage
from pricing.models import Calibration, Equivalence, ExistingModel, PricePoint, PriceRule, Recommendation
from pricing.reports.answers import total_between, total_of
from pricing.reports.gathering import moment
from pricing.reports.questions import FEW, Question, today
from pricing.reports.rollups import rolled_until


def overview() -> dict[str, Any]:
    """Template context: `catalog` (counts), `held` (rows), `media_types`, `prices`, `jobs`, `money`, `providers`,
    `alerts`."""
    counts = AIModel.objects.aggregate(
        models=Count("pk"),
        enabled=Count("pk", filter=Q(enabled=True)),
        held=Count("pk", filter=~Q(held_reason="") & ~Q(status=AIModel.Status.RETIRED)),
        off=Count("pk", filter=Q(switch=AIModel.Switch.OFF)),
        retired=Count("pk", filter=Q(status=AIModel.Status.RETIRED)),
        unpriced=Count("pk", filter=Q(held_reason="unpriced")),
    )
    held = (
        AIModel.objects.exclude(held_reason="")
        .exclude(status=AIModel.Status.RETIRED)
        .values_list("held_reason")
        .annotate(n=Count("pk"))
        .order_by("-n", "held_reason")
    )
    return {
        "catalog": counts,
        "revision": revisions.current(),
        "held": [{"reason": reason, "words": HELD_WORDS.get(reason, reason), "n": n} for reason, n in held],
        "media_types": _media_types(counts["enabled"]),
        "prices": _prices(),
        "jobs": _jobs(),
        "money": money_today(),
        "providers": [provider_state(provider) for provider in ensure_providers().values()],
        "cloud": next((one for one in upstreams.standings() if one.name == "cloud"), None),
        "alerts": Alert.objects.filter(acknowledged_at=None, resolved_at=None)[:8],
        "open_alerts": Alert.objects.filter(acknowledged_at=None, resolved_at=None).count(),
    }


def _jobs() -> dict[str, Any]:
    """What runs, what waits, and what went wrong today."""
    counts = standing.open_counts()
    return {
        "today": standing.today(),
        "day": timezone.now().date(),
        "queued": counts["queued"],
        "in_flight": sum(counts.values()) - counts["queued"],
        "oldest": standing.oldest_queued(),
        "quarantined": standing.quarantined(),
        "shut": sum(gate.state != "closed" for gate in standing.gates()),
    }


def money_today() -> dict[str, Any]:
    """Revenue, cost and margin of today so far and of the last 7 days, with those of a week before; what waits.

    What there is of today is compared with that day last week until the same time.
    """
    day = today()
    week = timedelta(days=7)
    midnight, until = moment(day), rolled_until()
    told_until = until if until and until > midnight else timezone.now()
    days = Question(day - timedelta(days=6), day)
    return {
        "today": total_of(Question(day, day), sums=FEW),
        "that_day": total_between(midnight - week, told_until - week, sums=FEW),
        "week": total_of(days, sums=FEW),
        "week_before": total_of(days.before, sums=FEW),
        "until": until,
        "recommended": Recommendation.objects.filter(state=Recommendation.State.OPEN).count(),
    }


def _prices() -> dict[str, Any]:
    """What waits for a decision about money, and how well prices are known."""
    covered = whole_coverage()
    return {
        "held": PricePoint.objects.filter(standing=PricePoint.Standing.HELD).count(),
        "proposed": PriceRule.objects.filter(state=PriceRule.State.PROPOSED).count(),
        "calibrations": Calibration.objects.filter(state=Calibration.State.PROPOSED).count(),
        "equivalents": Equivalence.objects.filter(state=Equivalence.State.SUGGESTED).count(),
        "existing": ExistingModel.objects.count(),
        "coverage": covered,
    }


def _media_types(enabled: int) -> list[dict[str, Any]]:
    rows = AIModel.objects.filter(enabled=True).values_list("media_type").annotate(n=Count("pk")).order_by("-n")
    return [{"name": name, "n": n, "share": round(100 * n / enabled)} for name, n in rows]
