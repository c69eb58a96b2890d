"""Jobs as the API shows them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import orjson

from jobs.assets.models import Asset
from jobs.assets.rendering import assets_of, output_with_urls, render_asset
from jobs.ending.outputs import warnings_of
from jobs.events.links import events_url
from jobs.fallback.attempts import render_attempts
from jobs.models import Job
from jobs.testmode.mode import is_test
from pricing.estimates.quotes import Quote
from pricing.estimates.rendering import render_quote, usd


def render_job(
    job: Job,
    *,
    shows_cost: bool,
    assets: list[Asset] | None = None,
    base_url: str | None = None,
    ahead: int | None = None,
) -> dict[str, Any]:
    """The job as JSON values. Cost only to staff and in core mode, as with estimates.

    `assets`: its files, read here where they are not given. `base_url`: where our addresses begin, PUBLIC_URL for None.
    `ahead`: how many go before it in our own queue (jobs.dispatching.ahead), where that was asked.
    """
    if assets is None:
        assets = assets_of([job]).get(job.pk, [])
    body: dict[str, Any] = {
        "id": job.pk,
        "livemode": not is_test(job),
        "status": job.status,
        "model": job.endpoint_id,
        "provider": job.provider,
        "created_at": moment(job.created_at),
        "queued_at": moment(job.created_at),
        "started_at": moment(job.started_at),
        "finished_at": moment(job.finished_at),
        "queue_position": job.queue_position if ahead is None else ahead,
        "quote": render_quote(Quote.of_json(job.quote), shows_cost=shows_cost),
        "charge": usd(job.charge),
        "cost_source": job.cost_source or None,
        "output": output_with_urls(job.output, assets, base_url=base_url),
        "assets": [render_asset(asset, base_url=base_url) for asset in assets],
        "error": job.error,
        "warnings": warnings_of(job.features, job.output),
        "cached": job.is_cached,
        "metadata": job.metadata,
        "events_url": events_url(job.pk, base_url=base_url),
        "batch": job.batch_id,
        "requested_model": job.fallback["requested"] if job.fallback else job.endpoint_id,
        "attempts": render_attempts(job.fallback),
        "workflow": job.workflow_id,
    }
    if shows_cost:
        body["cost"] = usd(job.cost)
    return body


def job_bytes(job: Job, *, shows_cost: bool, base_url: str | None = None, ahead: int | None = None) -> bytes:
    """The job as JSON."""
    return orjson.dumps(render_job(job, shows_cost=shows_cost, base_url=base_url, ahead=ahead))


def moment(at: datetime | None) -> str | None:
    """RFC 3339 in UTC with milliseconds, null for none."""
    return None if at is None else at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
