"""Choosing work: queued jobs for submission, fairly and within all limits, and jobs that are due for a look.

Claims are leases: what a claim says is undone by time, so a dispatcher that dies leaves nothing locked.
"""

from __future__ import annotations

import random
from datetime import datetime, timedelta

from django.conf import settings
from django.db import connection, transaction
from django.db.models import F, Q, QuerySet
from django.utils import timezone

from catalog.providers import queue
from jobs.accepting.own_keys import gate_name
from jobs.dispatching import gate
from jobs.models import IN_FLIGHT, Job, Status
from pricing import sql


def lease() -> timedelta:
    """For how long nobody else takes up what is claimed: longer than any call takes with its retries."""
    return timedelta(seconds=settings.CLAIM_LEASE_SECONDS)


_ACCOUNTS = "SELECT DISTINCT provider, account FROM jobs_job WHERE status = 'queued' AND next_at <= %s"
_DUE = """
SELECT id FROM jobs_job
WHERE next_at <= %s AND status IN ('submitting', 'submitted', 'running', 'canceling') ORDER BY next_at LIMIT %s
"""
# Of one client: single jobs before those of its batches, and older batches before newer ones. Nothing of a batch is
# sent any more from its cancel on, whatever puts a job back into the queue.
_NEXT = """
SELECT id FROM (
    SELECT j.id, j.client_id, c.max_in_flight, COALESCE(busy.jobs, 0) AS busy, ROW_NUMBER() OVER (
        PARTITION BY j.client_id ORDER BY j.priority DESC, j.batch_id ASC NULLS FIRST, j.id
    ) AS place
    FROM jobs_job j JOIN clients_client c ON c.id = j.client_id
    LEFT JOIN jobs_batch b ON b.id = j.batch_id
    LEFT JOIN (
        SELECT client_id, COUNT(*) AS jobs FROM jobs_job
        WHERE provider = %s AND status IN ('submitting', 'submitted', 'running', 'canceling') GROUP BY client_id
    ) busy ON busy.client_id = j.client_id
    WHERE j.provider = %s AND j.account = %s AND j.status = 'queued' AND j.next_at <= %s
        AND b.cancel_requested_at IS NULL
) ranked
WHERE busy + place <= COALESCE(max_in_flight, %s)
ORDER BY place, busy, id LIMIT %s
"""
# Whoever changes the moment first has claimed it.
_CLAIM = """
UPDATE jobs_job SET next_at = %s
WHERE id IN ({}) AND next_at <= %s AND status IN ('submitting', 'submitted', 'running', 'canceling') RETURNING id
"""


def claim_queued(limit: int) -> list[Job]:
    """Up to `limit` queued jobs, moved to `submitting`; each must be sent at once, for from now on it counts as sent.

    Within the account's cap and each client's places in flight; clients take turns, urgent jobs and older ones first.
    """
    if limit <= 0:
        return []
    claimed: list[Job] = []
    accounts = sql.rows(_ACCOUNTS, timezone.now())
    if len(accounts) > 1:
        # What one key has waiting must not keep the others from their turn.
        random.shuffle(accounts)
    for provider, account in accounts:
        # First without the lock: while the account's places are taken, nobody is kept waiting by looking on.
        if queue.is_runnable(provider) and _in_flight(provider, account).count() < queue.most_at_once(provider):
            claimed += _claim_of(provider, account, limit - len(claimed))
    return claimed


def _claim_of(provider: str, account: str, limit: int) -> list[Job]:
    if limit <= 0:
        return []
    with transaction.atomic(durable=True):
        now = timezone.now()
        gated = gate.gate_of(gate_name(provider, account))
        allowed = gate.room(gated, now)
        # Places are counted by key at the provider, and by client whatever its keys are.
        free = min(limit, queue.most_at_once(provider) - _in_flight(provider, account).count())
        if allowed is not None:
            free = min(free, allowed)
        chosen = _choose(provider, account, free, now) if free > 0 else []
        if not chosen:
            return []
        # As it was chosen: one that another model is to run now, by another key or with other files, has its own turn.
        rows = Job.objects.filter(
            pk__in=chosen, status=Status.QUEUED, provider=provider, account=account, next_at__lte=now
        )
        if connection.features.has_select_for_update_skip_locked:
            # A job that is being canceled this moment is somebody else's.
            rows = rows.select_for_update(skip_locked=True)
        jobs = list(rows)
        # A submit is one call, which ends by then.
        until = now + timedelta(seconds=settings.SUBMIT_TIMEOUT_SECONDS + 5)
        Job.objects.filter(pk__in=[job.pk for job in jobs]).update(
            status=Status.SUBMITTING,
            version=F("version") + 1,
            attempts=F("attempts") + 1,
            sent_at=now,
            next_at=until,
        )
        for job in jobs:
            job.status, job.version, job.attempts = Status.SUBMITTING, job.version + 1, job.attempts + 1
            job.sent_at, job.next_at = now, until
        order = {pk: place for place, pk in enumerate(chosen)}
        return sorted(jobs, key=lambda job: order[job.pk])


def _in_flight(provider: str, account: str) -> QuerySet[Job]:
    return Job.objects.filter(provider=provider, account=account, status__in=IN_FLIGHT).order_by()


def _choose(provider: str, account: str, free: int, now: datetime) -> list[str]:
    """Ids of the jobs to send next: round and round the clients, those with the fewest in flight first."""
    found = sql.rows(_NEXT, provider, provider, account, now, settings.MAX_IN_FLIGHT, free)
    return [key for (key,) in found]


def claim_due(limit: int, *, now: datetime | None = None) -> list[Job]:
    """Up to `limit` jobs at the provider whose time for a look has come, the longest due first."""
    if limit <= 0:
        return []
    now = now or timezone.now()
    # Looked at first: most rounds find nothing, and an UPDATE would wait for all other writers on SQLite.
    due = [key for (key,) in sql.rows(_DUE, now, limit)]
    if not due:
        return []
    claimed = {key for (key,) in sql.rows(_CLAIM.format(sql.marks(due)), now + lease(), *due, now)}
    # As they are now: one may have ended since.
    jobs = Job.objects.filter(status__in=IN_FLIGHT).in_bulk(claimed)
    return [jobs[key] for key in due if key in jobs]


def overdue_in_queue(*, now: datetime | None = None) -> list[Job]:
    """Jobs that have waited in our own queue for longer than it may take."""
    now = now or timezone.now()
    single = Q(batch=None, created_at__lte=now - timedelta(seconds=settings.QUEUE_TIMEOUT_SECONDS))
    # A batch is meant to take its time.
    in_batch = Q(batch__isnull=False, created_at__lte=now - timedelta(seconds=settings.BATCH_QUEUE_TIMEOUT_SECONDS))
    return list(Job.objects.filter(single | in_batch, status=Status.QUEUED)[:200])
