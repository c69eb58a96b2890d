"""How many jobs go to the provider before one that waits in our own queue."""

from __future__ import annotations

from collections.abc import Iterable

from jobs.models import Job, Status
from pricing import sql

# In the order in which they are chosen (jobs.dispatching.claiming): of one client and one account at a provider.
_AHEAD = """
SELECT id, place - 1 FROM (
    SELECT id, ROW_NUMBER() OVER (
        PARTITION BY provider, account ORDER BY priority DESC, batch_id ASC NULLS FIRST, id
    ) AS place
    FROM jobs_job WHERE client_id = %s AND status = 'queued'
) ranked
WHERE id IN ({})
"""


def ahead_of(jobs: Iterable[Job]) -> dict[str, int]:
    """For those of a client's jobs that wait here, by id: how many of the client's own go before it.

    What others have waiting does not count, for clients take turns. One query, none where nothing waits.
    """
    waiting = [job for job in jobs if job.status == Status.QUEUED]
    if not waiting:
        return {}
    keys = [job.pk for job in waiting]
    return dict(sql.rows(_AHEAD.format(sql.marks(keys)), waiting[0].client_id, *keys))
