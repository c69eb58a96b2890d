"""How often a job is looked at: soon and often while it is young, seldom when it is old or a webhook will tell."""

from __future__ import annotations

from datetime import timedelta

from django.conf import settings

from catalog.providers import queue
from jobs.models import Job
from jobs.testmode.mode import is_test

# Seconds until the first look, and the longest between two: without webhooks, and as their backup.
_POLLING = (0.3, 5.0)
_BACKUP = (5.0, 60.0)
_GROWTH = 1.3


def is_told_of(job: Job) -> bool:
    """Whether the provider tells us of the job's end: we can be reached, and can tell who signed what comes."""
    if not settings.PUBLIC_URL or is_test(job):
        return False
    return not job.account or queue.signs_for_all(job.provider)


def next_look(job: Job, looks: int) -> timedelta:
    """The wait before the job's look number `looks` (from 0)."""
    first, longest = _BACKUP if is_told_of(job) else _POLLING
    return timedelta(seconds=min(longest, first * _GROWTH ** min(looks, 40)))
