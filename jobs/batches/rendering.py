"""Batches as the API shows them: what their jobs say, counted and summed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.db.models import Count, Sum

from jobs.assets.rendering import assets_of, output_with_urls, render_asset
from jobs.batches.models import Batch, BatchRefusal
from jobs.models import ENDED, Job, Status
from jobs.rendering import moment
from pricing.estimates.rendering import usd

REFUSED = "refused"
_HEAVY = ("input", "quote", "terms", "features", "urls", "log_mark", "fallback")


def render_batch(batch: Batch) -> dict[str, Any]:
    """One batch without its items, as JSON values."""
    return render_batches([batch])[0]


def render_batches(batches: Iterable[Batch]) -> list[dict[str, Any]]:
    """Batches without their items, in two queries for all of them."""
    batches = list(batches)
    keys = [batch.pk for batch in batches]
    counts: dict[str, dict[str, int]] = {key: {} for key in keys}
    charges = dict.fromkeys(keys, 0)
    by_status = Job.objects.filter(batch__in=keys).order_by().values("batch_id", "status")
    for row in by_status.annotate(n=Count("pk"), charged=Sum("charge")):
        counts[row["batch_id"]][row["status"]] = row["n"]
        charges[row["batch_id"]] += row["charged"] or 0
    refused = BatchRefusal.objects.filter(batch__in=keys).order_by().values_list("batch_id")
    for key, number in refused.annotate(n=Count("pk")):
        counts[key][REFUSED] = number
    return [_rendered(batch, counts[batch.pk], charges[batch.pk]) for batch in batches]


def _rendered(batch: Batch, counts: dict[str, int], charge: int) -> dict[str, Any]:
    ended = sum(counts.get(status, 0) for status in (*ENDED, REFUSED))
    return {
        "id": batch.pk,
        "livemode": not batch.client.is_test,
        "status": batch.status,
        "mode": batch.mode,
        "created_at": moment(batch.created_at),
        "finished_at": moment(batch.finished_at),
        "size": batch.size,
        "counts": {status: counts.get(status, 0) for status in (*Status.values, REFUSED)},
        "progress": 1 if batch.finished_at else round(ended / batch.size, 3),
        "quote": usd(batch.quoted),
        "charge": usd(charge),
        "max_total_price": usd(batch.max_total_price),
        "metadata": batch.metadata,
    }


def render_items(
    batch: Batch, *, first: int = 0, limit: int | None = None, base_url: str | None = None
) -> list[dict[str, Any]]:
    """The items of a batch from an index on, in their order; those that nobody has come to yet are left out."""
    until = batch.size if limit is None else first + limit
    jobs = list(
        Job.objects.filter(batch=batch, batch_index__gte=first, batch_index__lt=until)
        .defer(*_HEAVY)
        .order_by("batch_index")
    )
    files = assets_of(jobs)
    items = {job.batch_index or 0: _item(job, files.get(job.pk, []), base_url) for job in jobs}
    for one in BatchRefusal.objects.filter(batch=batch, index__gte=first, index__lt=until):
        items[one.index] = _refused(one)
    return [items[index] for index in sorted(items)]


def _item(job: Job, assets: list[Any], base_url: str | None) -> dict[str, Any]:
    return {
        "index": job.batch_index,
        "status": job.status,
        "job": job.pk,
        "model": job.endpoint_id,
        "charge": usd(job.charge),
        "cached": job.is_cached,
        "output": output_with_urls(job.output, assets, base_url=base_url),
        "assets": [render_asset(asset, base_url=base_url) for asset in assets],
        "error": job.error,
        "metadata": job.metadata,
    }


def _refused(one: BatchRefusal) -> dict[str, Any]:
    error = {"code": one.code, "message": one.message, "hint": one.hint}
    return {
        "index": one.index,
        "status": REFUSED,
        "job": None,
        "model": None,
        "charge": None,
        "cached": False,
        "output": None,
        "assets": [],
        "error": error if one.details is None else error | {"details": one.details},
        "metadata": {},
    }
