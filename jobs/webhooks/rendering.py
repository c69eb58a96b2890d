"""What a client reads of an event: `type`, `timestamp` and `data`, as Standard Webhooks recommends."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import orjson
from django.conf import settings

from genfeed.journal.times import rfc3339
from jobs.models import Job
from jobs.rendering import render_job

# Receivers take small bodies; what is larger is fetched.
LONGEST_BODY = 256_000
_STATUS = {"job.queued": "queued", "job.started": "running"}
# What a job does not have yet while it waits or runs.
_AT_THE_END = ("finished_at", "charge", "cost", "cost_source", "output", "error")


def message_body(kind: str, at: datetime, data: dict[str, Any], *, livemode: bool = True) -> str:
    """The JSON text of a message."""
    body = orjson.dumps({"type": kind, "timestamp": rfc3339(at), "livemode": livemode, "data": data})
    if len(body) > LONGEST_BODY and "output" in data:
        short = {"id": data["id"], "status": data["status"]}
        less = {**data, "output": None, "output_omitted": True} if data["output"] else short
        return message_body(kind, at, less, livemode=livemode)
    return body.decode()


def job_data(job: Job, kind: str, number: int) -> dict[str, Any]:
    """The job as it was with its event of this number, also where it has gone on since."""
    data = render_job(job, shows_cost=settings.GENFEED_MODE == "core")
    if job.version > number and kind in _STATUS:
        data |= {name: None for name in _AT_THE_END if name in data}
        data |= {"status": _STATUS[kind], "assets": []}
        if kind == "job.queued":
            data |= {"started_at": None, "queue_position": None}
    return data
