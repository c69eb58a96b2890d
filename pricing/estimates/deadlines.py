"""How long a whole job may take, by what it makes: also the bound of what computing time can cost."""

from __future__ import annotations

from decimal import Decimal

from django.conf import settings

from pricing.counting.durations import output_seconds
from pricing.counting.requests import Request, as_number
from pricing.estimates.facts import Facts

IMAGE = Decimal(60)
UPSCALE = Decimal(90)
SHORT_VIDEO = Decimal(180)
VIDEO = Decimal(300)
LONG_VIDEO = Decimal(600)
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
        return UPSCALE if "upscale_factor" in facts.capabilities else IMAGE
    if facts.media_type == "video":
        length = output_seconds(request).high
        if length is None or length > 10:
            return LONG_VIDEO
        return SHORT_VIDEO if length < 5 else VIDEO
    return Decimal(settings.DEADLINE_OTHER_SECONDS)
