"""One sync of all: the catalog, then prices and price texts, under one lease and in one report.

The six-hour schedule, the admin's button, the API and `manage.py sync_models` all end here.
"""

from collections.abc import Callable
from typing import Any

from catalog import discovery, reporting, upstreams
from catalog.exchange.source import ExportSource
from catalog.models import AIModel, SyncRun
from catalog.sync_runs import Lease
from genfeed.journal import request_ids
from pricing.exchange.rules import take_rules
from pricing.prices.sync import Instead, PriceSyncResult, sync_prices
from pricing.selling.losses import tell_losses


def sync_everything(
    run: SyncRun,
    *,
    options: discovery.Options | None = None,
    on_progress: Callable[[str, int, int], None] | None = None,
) -> SyncRun:
    """Runs a queued sync to its end, as `catalog.discovery.run_sync`; the report's part `prices` tells of the prices.

    Trouble with prices leaves the old ones and does not fail the run, whose catalog is published by then.
    """
    try:
        return discovery.run_sync(run, options=options, on_progress=on_progress, then=_prices)
    finally:
        upstreams.flush()


def sync_from(
    source: ExportSource,
    run: SyncRun,
    *,
    options: discovery.Options,
    on_progress: Callable[[str, int, int], None] | None = None,
) -> SyncRun:
    """As `sync_everything`, with another installation's export read instead of the provider."""

    def then(run: SyncRun, lease: Lease) -> dict[str, Any]:
        rules = take_rules(run.provider, source.records, lease)
        instead = Instead(source, source.records.keys(), source.withheld)
        return {"cloud_rules": rules.as_report(), **_report(run, sync_prices(run, lease=lease, instead=instead))}

    return discovery.run_sync(run, options=options, on_progress=on_progress, then=then, reader=source)


def _prices(run: SyncRun, lease: Lease) -> dict[str, Any]:
    return _report(run, sync_prices(run, lease=lease, full=run.full))


def _report(run: SyncRun, result: PriceSyncResult) -> dict[str, Any]:
    tell_losses()
    # What may be sold has changed with the prices.
    rows = AIModel.objects.filter(provider=run.provider).only(
        "endpoint_id", "status", "schema_version", "enabled", "held_reason"
    )
    return {"prices": result.as_report() | {"summary": result.summary()}, **reporting.standing(rows)}


def run_queued_sync(run_id: int) -> str:
    """Runs one sync that was asked for; the text is what django-q2 shows as the task's result."""
    request_ids.begin()
    run = sync_everything(SyncRun.objects.select_related("provider").get(pk=run_id))
    return f"{run.status}: {run.error}" if run.error else str(run.status)
