"""Queued jobs whose model can't be had any more, brought to their next one: nobody sends them, so nobody is refused."""

from __future__ import annotations

import random

from django.utils import timezone

from catalog.models import AIModel
from jobs.accepting.own_keys import gate_name
from jobs.fallback.attempts import Reason, away
from jobs.fallback.switching import not_offered, switch
from jobs.models import Job, ProviderGate, Status

_LOOKED_AT = 2000
_AT_ONCE = 50


def sweep_fallbacks() -> int:
    """Switches queued jobs whose gate is shut or whose model is off sale; returns how many."""
    queued = Job.objects.filter(has_spare=True, status=Status.QUEUED)
    waiting = list(queued.order_by().values_list("pk", "provider", "account", "model_id")[:_LOOKED_AT])
    if not waiting:
        return 0
    shut = set(ProviderGate.objects.filter(open_until__gt=timezone.now()).values_list("name", flat=True))
    off = AIModel.objects.filter(pk__in={model for *_, model in waiting}, enabled=False).in_bulk()
    reasons: dict[str, Reason] = {}
    for job, provider, account, model in waiting:
        if model in off:
            reasons[job] = not_offered(off[model])
        elif gate_name(provider, account) in shut:
            reasons[job] = away(provider)
    # Those whose alternatives can't be had either must not keep the others from their turn.
    chosen = random.sample(sorted(reasons), min(_AT_ONCE, len(reasons)))
    return sum(switch(job, reasons[job.pk]) for job in queued.filter(pk__in=chosen))
