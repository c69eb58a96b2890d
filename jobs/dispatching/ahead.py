"""How many jobs go to the provider before one that waits in our own queue."""

from __future__ import annotations

from collections.abc import Iterable

from jobs.models import Job, Status
from pricing import sql

# Of how many that wait a place is told: it is asked for again and again, and takes longer the more there are.
MOST = 2_000
# In the order in which they are chosen (jobs.dispatching.claiming): of one client and one account at a provider.
_AHEAD = """
SELECT id, place - 1, waiting FROM (
    SELECT id, COUNT(*) OVER () AS waiting, ROW_NUMBER() OVER (
        PARTITION BY provider, account ORDER BY priority DESC, batch_id ASC NULLS FIRST, id
    ) AS place
    FROM (
        SELECT id, provider, account, priority, batch_id FROM jobs_job
        WHERE client_id = %s AND status = 'queued' LIMIT %s
    ) queued
) ranked
WHERE id IN ({})
"""


def ahead_of(jobs: Iterable[Job]) -> dict[str, int]:
    """For those of a client's jobs that wait here, by id: how many of the client's own go before it.

    What others have waiting does not count, for clients take turns. One query, none where nothing waits; nothing is
    told while the client has more than `MOST` waiting.
    """
    waiting = [job for job in jobs if job.status == Status.QUEUED]
    if not waiting:
        return {}
    keys = [job.pk for job in waiting]
    found = sql.rows(_AHEAD.format(sql.marks(keys)), waiting[0].client_id, MOST + 1, *keys)
    return {key: place for key, place, all_waiting in found if all_waiting <= MOST}
