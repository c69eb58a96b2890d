"""What the provider says that calls of a model have cost: asked a little at a time in the background, and remembered.

fal limits its estimate API hard (the third call within seconds is refused), so no request ever waits for it: a standing
task asks for the models whose price nobody can tell, two at a time, and stops at the first refusal.
"""

from __future__ import annotations

import logging
from datetime import timedelta

from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.utils import timezone

from catalog.models import AIModel
from catalog.providers import base
from pricing.estimates import history
from pricing.models import ProviderEstimate
from pricing.money import to_nano
from pricing.selling.publishing import lock_models, settle

logger = logging.getLogger(__name__)

STALE_AFTER = timedelta(days=30)
# One figure for many calls is finer than one for a single call, and costs no more to ask for.
CALLS = 100
# Where the cost follows from the request, history has nothing to add.
_UNSURE = ("unknown", "bounded", "historical")


def refresh_some(budget: int = 2) -> str:
    """Asks about at most `budget` models, the longest unasked first; returns what happened, for the task's result."""
    results = []
    for entry in base.in_use():
        provider = base.open_provider(entry.slug)
        try:
            results.append(f"{entry.slug}: {_refresh(provider, budget)}")
        finally:
            provider.close()
    return ", ".join(results)


def waiting(provider_slug: str) -> QuerySet[AIModel]:
    """Models of a provider to ask about: their cost can't be told, and nobody has asked for a month."""
    stale = Q(provider_estimate=None) | Q(provider_estimate__asked_at__lt=timezone.now() - STALE_AFTER)
    return (
        AIModel.objects.filter(stale, provider__slug=provider_slug, pricing__default_confidence__in=_UNSURE)
        .exclude(status=AIModel.Status.RETIRED)
        .order_by(F("provider_estimate__asked_at").asc(nulls_first=True), "-enabled", "pk")
    )


def _refresh(provider: base.ProviderInterface, budget: int) -> str:
    if not provider.is_configured():
        return "no key"
    asked = known = 0
    for model in waiting(provider.slug)[:budget]:
        try:
            total = provider.historical_cost(model.endpoint_id, CALLS)
        except base.NotOfferedError:
            return "tells no past costs"
        except base.ProviderRateLimitedError:
            return f"{asked} asked, {known} known, then limited"
        except (base.ProviderUnavailableError, base.ProviderKeyError) as error:
            logger.warning("no past cost of %s: %s", model.endpoint_id, error)
            return f"{asked} asked, {known} known, then failed"
        except base.ProviderError as error:
            # An answer of its own kind about this model: remembered as none, or it would stand in the way for ever.
            logger.warning("no past cost of %s: %s", model.endpoint_id, error)
            total = None
        cost = None if total is None else to_nano(total / CALLS) or None
        _remember(model, cost)
        asked, known = asked + 1, known + (cost is not None)
    return f"{asked} asked, {known} known"


def _remember(model: AIModel, cost: int | None) -> None:
    """Keeps what was answered; a default request is estimated anew where that says something else than before."""
    with transaction.atomic():
        lock_models([model.pk])
        before = ProviderEstimate.objects.filter(model=model).values_list("cost", flat=True).first()
        ProviderEstimate.objects.update_or_create(model=model, defaults={"cost": cost, "asked_at": timezone.now()})
        if cost != before:
            history.forget_model(model.pk)
            settle([model.pk], reason=f"past costs of {model} learned")
