"""How long a whole job may take, by what it makes: also the bound of what computing time can cost."""

from __future__ import annotations

from decimal import Decimal

from django.conf import settings

from pricing.counting.durations import output_seconds
from pricing.counting.requests import Request, as_number
from pricing.estimates.facts import Facts

# The provider's own estimate of a duration, and what was observed, are usual values: the deadline leaves them room.
ROOM = 3


def deadline_seconds(facts: Facts, request: Request, *, observed: Decimal | None = None) -> Decimal:
    """Seconds from submission on, the provider's queue apart. `observed`: the model's own p99 in seconds, if known."""
    usual = [as_number(facts.metadata.get("duration_estimate")), observed]
    minutes, seconds = usual[0] or Decimal(0), usual[1] or Decimal(0)
    return max(_by_kind(facts, request), ROOM * minutes * 60, ROOM * seconds)


def _by_kind(facts: Facts, request: Request) -> Decimal:
    if facts.kind == "training":
        return Decimal(settings.DEADLINE_TRAINING_SECONDS)
    if facts.media_type == "image":
        upscales = "upscale_factor" in facts.capabilities
        return Decimal(settings.FAL_TIMEOUT_UPSCALE if upscales else settings.FAL_TIMEOUT_IMAGE)
    if facts.media_type == "video":
        length = output_seconds(request).high
        if length is None or length > 10:
            return Decimal(settings.FAL_TIMEOUT_VIDEO_LONG)
        return Decimal(settings.FAL_TIMEOUT_VIDEO_SHORT if length < 5 else settings.FAL_TIMEOUT_VIDEO)
    return Decimal(settings.DEADLINE_OTHER_SECONDS)
