"""One reconciliation: read the bill, write it down, bring the books to it, move the watermark, tell what is odd."""

from __future__ import annotations

from contextlib import closing
from datetime import datetime

from django.db import transaction

from catalog.models import Provider
from catalog.providers import base
from catalog.providers.base import ProviderError, ProviderInterface, ProviderNotConfiguredError
from catalog.sync_runs import provider_row
from genfeed.journal.alerts import raise_alert, resolve
from genfeed.journal.models import Alert
from pricing.models import Bill, ReconciliationRun
from pricing.reconciling import runs, telling
from pricing.reconciling.matching import match_open
from pricing.reconciling.storing import store, supersede


def is_configured(slug: str) -> bool:
    """Whether the provider's bills can be read at all; without, billed units of the results stay the truth."""
    with closing(base.open_provider(slug)) as source:
        return source.can_read_bills()


def reconcile(
    slug: str, *, trigger: str = "schedule", requested_by: str = "", deep: bool = False, now: datetime | None = None
) -> ReconciliationRun:
    """Reconciles one provider; the run tells what came of it, a failure of the provider too.

    No call happens inside a transaction. Whatever is interrupted is read again by the next run. Raises
    ProviderNotConfiguredError without a key that may read bills, and AlreadyRunningError.
    """
    provider = provider_row(slug)
    with closing(base.open_provider(slug)) as source:
        if not source.can_read_bills():
            raise ProviderNotConfiguredError(
                f"{provider.name} shows its bills to an ADMIN key only, and none is set. Billed units of the results "
                "stay the truth until then."
            )
        run = runs.begin(provider, trigger=trigger, requested_by=requested_by, deep=deep, now=now)
        try:
            _read(run, source)
            _book(run, provider)
            _look_at_credit(run, provider, source)
        except ProviderError as error:
            _fail(run, provider, str(error))
            return run
        except Exception as error:
            _fail(run, provider, f"It failed by itself: {type(error).__name__}. The log says more.")
            raise
        with transaction.atomic():
            runs.succeed(run)
            resolve("reconciliation_failed", provider.slug)
    telling.tell_unreadable(provider, run.problems)
    if run.is_deep:
        telling.tell_daily(provider, now=run.read_until)
    return run


def _read(run: ReconciliationRun, source: ProviderInterface) -> None:
    counts = {"pages": 0, "lines": 0, "new": 0}
    run.report = counts
    for page in source.billing_events(run.read_from, run.read_until):
        counts["new"] += store(run, page.events)
        counts["pages"] += 1
        counts["lines"] += len(page.events)
        run.problems += page.problems
    counts["revised"] = supersede(run)


def _book(run: ReconciliationRun, provider: Provider) -> None:
    orphans = Bill.objects.filter(provider=provider, state=Bill.State.ORPHAN)
    before = set(orphans.values_list("pk", flat=True))
    counts = match_open(provider, now=run.read_until, beat=lambda: runs.hold_on(run))
    run.report["bills"] = dict(counts)
    telling.tell_orphans(provider, set(orphans.values_list("pk", flat=True)) - before)


def _look_at_credit(run: ReconciliationRun, provider: Provider, source: ProviderInterface) -> None:
    try:
        left = source.account_balance()
    except ProviderError as error:
        # A reconciliation is none the worse for it.
        run.report["credit_problem"] = str(error)[:300]
        return
    run.report["credit"] = {"balance": str(left.balance), "currency": left.currency, "account": left.account}
    telling.tell_credit(provider, left)


def _fail(run: ReconciliationRun, provider: Provider, error: str) -> None:
    runs.fail(run, error)
    raise_alert(
        "reconciliation_failed",
        provider.slug,
        f"The bill of {provider.name} could not be read",
        f"{error} The next run reads the same again; nothing is lost.",
        level=Alert.Level.WARNING,
        url=telling.page_url(),
    )
