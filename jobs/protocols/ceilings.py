"""The ceiling of a token for pages: a page can't be trusted to stop by itself."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from django.db.models import F
from django.utils import timezone

from genfeed.clients.errors import ApiError
from genfeed.clients.keys import BrowserToken
from jobs.models import Job
from jobs.protocols.models import BrowserTokenLimit
from pricing.money import format_usd


def set_ceiling(token: BrowserToken, most: int) -> None:
    """All requests of a token may take so many nano-USD together."""
    expires_at = datetime.fromtimestamp(token.expires_at, UTC)
    BrowserTokenLimit.objects.create(token=token.id, most=most, expires_at=expires_at)


def take(job: Job, token: BrowserToken) -> None:
    """Takes what a job may cost, in the transaction that accepts it. Raises ApiError where too little is left.

    Nothing is given back: what is counted is what the requests may cost at most.
    """
    if not token.has_ceiling:
        return
    left = BrowserTokenLimit.objects.filter(pk=token.id, taken__lte=F("most") - job.hold_amount)
    if not left.update(taken=F("taken") + job.hold_amount):
        raise ApiError(
            "budget_exceeded",
            f"The request may cost {format_usd(job.hold_amount)} USD, and less is left of what this token may take.",
            "Have your server ask for another token, or for one with a higher max_total.",
        )


def forget_old(*, now: datetime | None = None) -> int:
    """Deletes the ceilings of tokens that ended a day ago; returns how many."""
    return BrowserTokenLimit.objects.filter(expires_at__lt=(now or timezone.now()) - timedelta(days=1)).delete()[0]
