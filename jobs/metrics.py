"""Counters of jobs, written by whichever process does the work; what stands in rows is read at the scrape instead.

Test jobs are not counted.
"""

from __future__ import annotations

from prometheus_client import Counter, Histogram

from jobs.models import Job
from jobs.testmode.mode import is_test

_SECONDS = (0.05, 0.1, 0.15, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800)

_accepted = Counter("genfeed_jobs_accepted_total", "Jobs accepted.", ["provider"])
_ended = Counter("genfeed_jobs_ended_total", "Jobs ended; `code` of those that failed.", ["provider", "status", "code"])
_fallbacks = Counter(
    "genfeed_job_fallbacks_total",
    "Jobs that went on with an alternative; `provider` is the one left.",
    ["provider", "code"],
)
_to_submit = Histogram(
    "genfeed_job_accepted_to_submitted_seconds",
    "From the acceptance of a job until the provider has it.",
    ["provider"],
    buckets=_SECONDS,
)
_to_end = Histogram(
    "genfeed_job_submitted_to_ended_seconds",
    "From the submit of a job until its last event.",
    ["provider", "status"],
    buckets=_SECONDS,
)


def observe_accepted(job: Job) -> None:
    """Counts a job that was accepted."""
    if not is_test(job):
        _accepted.labels(job.provider).inc()


def observe_fallback(provider: str, code: str) -> None:
    """Counts a job that left a provider for an alternative."""
    _fallbacks.labels(provider, code).inc()


def observe_submitted(job: Job) -> None:
    """Counts how long a job has waited for the provider."""
    if job.submitted_at and not is_test(job):
        _to_submit.labels(job.provider).observe((job.submitted_at - job.created_at).total_seconds())


def observe_ended(job: Job) -> None:
    """Counts a job that has ended, by how it ended and how long it took."""
    if is_test(job):
        return
    _ended.labels(job.provider, job.status, job.error["code"] if job.error else "").inc()
    if job.submitted_at and job.finished_at:
        _to_end.labels(job.provider, job.status).observe((job.finished_at - job.submitted_at).total_seconds())
