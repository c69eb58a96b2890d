"""How often a job is looked at: soon and often while it is young, seldom when it is old or a webhook will tell."""

from __future__ import annotations

from datetime import timedelta

from django.conf import settings

# Seconds until the first look, and the longest between two: without webhooks, and as their backup.
_POLLING = (0.3, 5.0)
_BACKUP = (5.0, 60.0)
_GROWTH = 1.3


def next_look(looks: int) -> timedelta:
    """The wait before look number `looks` (from 0)."""
    first, longest = _BACKUP if settings.PUBLIC_URL else _POLLING
    return timedelta(seconds=min(longest, first * _GROWTH ** min(looks, 40)))
