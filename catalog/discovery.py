"""Discovery: one sync of one provider's catalog, from request to published revision."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from catalog import sync_runs
from catalog.applying import apply_sync
from catalog.fetching import Known, Listing, choose_schemas, fetch_schemas, read_listing
from catalog.models import AIModel, Provider, SyncRun
from catalog.providers import base, calls
from catalog.providers.base import (
    ProviderBadAnswerError,
    ProviderError,
    ProviderNotConfiguredError,
    ProviderUnavailableError,
    UnknownProviderError,
)
from catalog.providers.reader import CatalogReader
from catalog.schemas.understanding import NotUnderstood, Understood, understand
from catalog.sync_runs import Lease, LeaseLostError
from genfeed.journal.alerts import raise_alert
from genfeed.journal.models import Alert

logger = logging.getLogger(__name__)

# A listing with fewer than this share of the models that we know is taken for a fault of the provider's, not for news.
PLAUSIBLE_SHARE = 0.5


# What a floor above does once the catalog is published, under the same lease; returns parts of the run's report.
Then = Callable[[SyncRun, Lease], dict[str, Any]]


@dataclass(frozen=True)
class Options:
    """`full`: fetch every schema again. `accept_shrink`: believe a listing that lost more than half of the models.

    `schemas`: fetch those of these models instead of choosing. `absence_is_certain`: a model that is not listed is
    retired at once, because whoever lists has waited already.
    """

    full: bool = False
    accept_shrink: bool = False
    schemas: Sequence[str] | None = None
    absence_is_certain: bool = False


def run_sync(
    run: SyncRun,
    *,
    options: Options | None = None,
    on_progress: Callable[[str, int, int], None] | None = None,
    then: Then | None = None,
    reader: CatalogReader | None = None,
) -> SyncRun:
    """Runs a queued sync to its end and returns its row, succeeded or failed with the reason in `error`.

    Where another process took the run first, that one's row is returned as it is. Whatever goes wrong, the catalog
    stays as it was: nothing is written before everything has been read and mapped. `then` is called once the catalog
    is published, before the run is closed. `reader` is read instead of the provider: another installation's catalog.
    """
    options = options or Options(full=run.full)
    provider = reader or base.open_provider(run.provider.slug)
    try:
        lease = sync_runs.claim(run, source=provider.source)
        if lease is None:
            run.refresh_from_db()
            return run
        run.source = provider.source
        lease.on_progress = on_progress
        lease.more_follows = then is not None
        _run_claimed(run, lease, provider, options, then, asks_provider=reader is None)
    finally:
        provider.close()
    run.refresh_from_db()
    return run


def _run_claimed(
    run: SyncRun, lease: Lease, provider: CatalogReader, options: Options, then: Then | None, *, asks_provider: bool
) -> None:
    standing = "Nothing was changed."
    try:
        if provider.needs_key_for_catalog and not provider.is_configured():
            raise ProviderNotConfiguredError(f"{provider.name} lists its models only with a key, and none is set.")
        listing = read_listing(provider, lease.report)
        if asks_provider:
            calls.note(run.provider.slug)
        _check_plausible(run.provider, listing, options)
        if options.schemas is None:
            wanted = choose_schemas(listing, _known(run.provider), full=options.full, now=timezone.now())
        else:
            wanted = [one for one in options.schemas if one in listing.models]
        listing.absence_is_certain = options.absence_is_certain
        schemas = _read_schemas(provider, listing, wanted, lease)
        lease.report("writing", 0, 0)
        outcome = apply_sync(run, lease, listing, schemas)
        logger.info(
            "sync of %s: %d listed, %d added, %d new versions, %d retired, %d not understood",
            provider.name, len(listing.models), len(outcome.added), len(outcome.versions),
            len(outcome.retired), len(outcome.reasons),
        )  # fmt: skip
        if then:
            standing = "The catalog itself is published."
            _continue(run, lease, then)
    except ProviderError as error:
        if asks_provider and isinstance(error, ProviderUnavailableError) and error.status is None:
            # All tries of a sync met nobody: that says more than one call.
            for _ in range(3):
                calls.note(run.provider.slug, str(error))
        _fail(run, lease, str(error))
    except LeaseLostError as error:
        logger.warning("%s", error)
    except (KeyboardInterrupt, SystemExit):
        # Left open, it would hold up the next sync until its lease ends.
        _fail(run, lease, "It was stopped by hand. Nothing was changed.")
        raise
    except Exception as error:
        logger.exception("sync run %d crashed", run.pk)
        _fail(run, lease, f"Internal error ({type(error).__name__}); the log tells more. {standing}")
        raise


def _continue(run: SyncRun, lease: Lease, then: Then) -> None:
    """Does what follows the catalog and closes the run with the whole report."""
    parts = then(run, lease)
    lease.more_follows = False
    report = SyncRun.objects.values_list("report", flat=True).get(pk=run.pk)
    lease.finish(SyncRun.Status.SUCCEEDED, report=report | parts)


def _fail(run: SyncRun, lease: Lease, error: str) -> None:
    try:
        lease.finish(SyncRun.Status.FAILED, error=error)
    except LeaseLostError as lost:
        logger.warning("%s", lost)
        return
    raise_alert(
        "sync_failed",
        run.provider.slug,
        f"The sync of {run.provider.name} failed; the last good catalog is served",
        error,
        level=Alert.Level.WARNING,
    )


def _read_schemas(
    provider: CatalogReader, listing: Listing, wanted: list[str], lease: Lease
) -> dict[str, Understood | NotUnderstood]:
    fetched = fetch_schemas(provider, wanted, concurrency=settings.CATALOG_SYNC_CONCURRENCY, progress=lease.report)
    return {schema.endpoint_id: understand(schema, listing.models[schema.endpoint_id]) for schema in fetched}


def _known(provider: Provider) -> dict[str, Known]:
    rows = AIModel.objects.filter(provider=provider).values_list(
        "endpoint_id", "upstream_updated_at", "schema_version", "schema_checked_at"
    )
    return {row[0]: Known(updated_at=row[1], has_schema=bool(row[2]), checked_at=row[3]) for row in rows}


def _check_plausible(provider: Provider, listing: Listing, options: Options) -> None:
    known = AIModel.objects.filter(
        provider=provider, origin=AIModel.Origin.DISCOVERED, status=AIModel.Status.ACTIVE
    ).count()
    if options.accept_shrink or len(listing.models) >= known * PLAUSIBLE_SHARE:
        return
    raise ProviderBadAnswerError(
        f"{provider.name} lists only {len(listing.models)} models where we know {known} active ones. That is taken for "
        "a fault of the provider's. If it is true, run `manage.py sync_models --accept-shrink`."
    )


def request_sync(
    slug: str | None = None, *, trigger: str, requested_by: str = "", full: bool = False
) -> tuple[SyncRun, bool]:
    """Asks for a sync to be run by a worker (of the usual provider, where none is named); returns the open run and
    whether this call made it.

    Raises UnknownProviderError. Outside a transaction the task is queued at once, inside one after its commit.
    """
    slug = base.usual() if slug is None else slug
    base.open_provider(slug).close()
    provider = sync_runs.ensure_providers().get(slug)
    if provider is None:
        raise UnknownProviderError(f"{slug} tells nothing without a key. Set {base.key_setting(slug)} and restart.")
    run, is_new = sync_runs.request_run(provider, trigger=trigger, requested_by=requested_by, full=full)
    if is_new:
        transaction.on_commit(lambda: _enqueue(run.pk))
    return run, is_new


def _enqueue(run_id: int) -> None:
    from django_q.tasks import async_task

    # A dotted path: what a sync is besides the catalog's is known only on the top floor.
    async_task(settings.SYNC_TASK, run_id, task_name=f"sync-{run_id}")
