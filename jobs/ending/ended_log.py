"""One structured log record for each job that has ended: what ran, how long it took, what it cost.

Nothing of the client's input and output stands in it: of the prompt a length and a keyed digest, by which equal prompts
can be told without being known. Messages of providers may quote the input, so only our own code is logged.
"""

from __future__ import annotations

import logging
from typing import Any

from jobs.models import Job, Status
from jobs.redaction import prompt_marks
from jobs.rendering import moment
from jobs.testmode.mode import is_test
from pricing.money import format_usd

logger = logging.getLogger("genfeed.jobs.ended")


def log_ended(job: Job) -> None:
    """Writes the record; called once, by whoever ended the job, after that is certain."""
    logger.info("job ended", extra=record_of(job))


def record_of(job: Job) -> dict[str, Any]:
    """The record as values. Times in UTC, durations in seconds, amounts in USD as exact text."""
    stages = {
        "accepted": job.created_at,
        "sent": job.sent_at,
        "submitted": job.submitted_at,
        "started": job.started_at,
        "cancel_requested": job.cancel_requested_at,
        "ended": job.finished_at,
    }
    begun = job.submitted_at or job.sent_at
    ended = job.finished_at
    return {
        "job": job.pk,
        "client": job.client_id,
        "model": f"{job.provider}:{job.endpoint_id}",
        "operation": "generate",
        "livemode": not is_test(job),
        "provider_request": job.request_id,
        "status": job.status,
        "success": job.status == Status.SUCCEEDED,
        "error_code": job.error["code"] if job.error else "",
        "timeline": {name: moment(at) for name, at in stages.items() if at},
        "duration": round((ended - job.created_at).total_seconds(), 3) if ended else None,
        "provider_seconds": round((ended - begun).total_seconds(), 3) if ended and begun else None,
        "attempts": job.attempts,
        "features": job.features,
        "units": job.billed_units,
        "unit": job.quote["unit"],
        "charge": format_usd(job.charge or 0),
        "cost": format_usd(job.cost or 0),
        "cost_source": job.cost_source,
        "metadata": job.metadata,
        **prompt_marks(job.input),
    }
