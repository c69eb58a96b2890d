"""Forgetting what has served its purpose: kept answers to repeated requests, and old answers of providers."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.conf import settings
from django.utils import timezone

from jobs.accepting import idempotency
from jobs.models import ProviderAnswer, ProviderGate
from jobs.protocols import ceilings
from jobs.testmode.clean_up import forget_tests

_AT_ONCE = 1000


def clean_up(*, now: datetime | None = None) -> dict[str, int]:
    """Deletes what is past its time, of answers, gates of clients' own keys, ceilings of tokens and tests; counts."""
    return {
        "idempotent_answers": idempotency.forget_old(),
        "provider_answers": forget_answers(now=now),
        "gates": forget_gates(now=now),
        "browser_token_limits": ceilings.forget_old(now=now),
        "test_jobs": forget_tests(now=now),
    }


def forget_gates(*, now: datetime | None = None) -> int:
    """Deletes gates of clients' own keys that nothing has happened at for a week; returns how many."""
    until = (now or timezone.now()) - timedelta(days=7)
    return ProviderGate.objects.filter(name__contains=":", changed_at__lt=until).delete()[0]


def forget_answers(*, now: datetime | None = None) -> int:
    """Deletes what providers answered longer than PROVIDER_ANSWER_DAYS ago, some at a time; returns how many."""
    until = (now or timezone.now()) - timedelta(days=settings.PROVIDER_ANSWER_DAYS)
    count = 0
    while True:
        # They are written in the order of time, so the first keys are the oldest.
        some = list(ProviderAnswer.objects.order_by("pk").values_list("pk", "at")[:_AT_ONCE])
        old = [key for key, at in some if at < until]
        if not old:
            return count
        count += ProviderAnswer.objects.filter(pk__in=old).delete()[0]
