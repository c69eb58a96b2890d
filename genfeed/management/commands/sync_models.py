"""`manage.py sync_models`: discover what the providers offer and what it costs, now."""

import time
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from catalog import discovery, sync_runs
from catalog.models import Provider, SyncRun
from catalog.providers import base
from genfeed.journal import links
from genfeed.sync import sync_everything


class Command(BaseCommand):
    help = (
        "Discovers all models of a provider: reads the listing, fetches new and changed schemas, classes what changed, "
        "publishes the catalog, then reads prices and price texts. If a sync is already running, its progress is "
        "followed instead."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--provider", default="", help="Sync only this provider, e.g. fal. Without it: all that can be asked."
        )
        parser.add_argument("--full", action="store_true", help="Fetch every schema again, not only the changed ones.")
        parser.add_argument(
            "--accept-shrink",
            action="store_true",
            help="Believe a listing that lost more than half of the known models.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        links.get_ready()
        slugs = [options["provider"]] if options["provider"] else [entry.slug for entry in base.in_use()]
        rows = sync_runs.ensure_providers()
        for slug in slugs:
            if slug not in rows:
                raise CommandError(f"There is no provider {slug!r}. Registered providers: {', '.join(rows)}.")
        wanted = discovery.Options(full=options["full"], accept_shrink=options["accept_shrink"])
        failed = [slug for slug in slugs if not self._sync(rows[slug], wanted)]
        if failed:
            raise CommandError(f"The sync failed for: {', '.join(failed)}. What was known before still stands.")

    def _sync(self, provider: Provider, options: discovery.Options) -> bool:
        run, is_new = sync_runs.request_run(provider, trigger="command", full=options.full)
        with self._progress() as progress:
            bar = progress.add_task(provider.name, total=None)

            def show(phase: str, done: int, total: int) -> None:
                progress.update(bar, description=f"{provider.name}: {phase}", completed=done, total=total or None)

            if is_new:
                run = sync_everything(run, options=options, on_progress=show)
            else:
                self.stdout.write(f"A sync of {provider.name} is already open; following it.")
            while run.is_open:
                time.sleep(0.3)
                sync_runs.close_dead_run(provider)
                run.refresh_from_db()
                show(run.phase, run.done, run.total)
        self.stdout.write(summary(run))
        prices = run.report.get("prices", {})
        if prices:
            self.stdout.write(prices["summary"])
        return run.status == SyncRun.Status.SUCCEEDED and not prices.get("error")

    def _progress(self) -> Progress:
        console = Console(stderr=True)
        return Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=console,
            disable=not console.is_terminal,
            transient=True,
        )


def summary(run: SyncRun) -> str:
    """What a finished run did to the catalog, as one line for a terminal; its time is that without the prices."""
    of_prices = run.report.get("prices", {}).get("seconds", 0)
    seconds = f"{max(run.seconds - of_prices, 0):.1f} s" if run.seconds is not None else "no time"
    if run.status == SyncRun.Status.FAILED:
        hint = (
            " The sandbox runs with `manage.py up`; set FAL_KEY to talk to fal itself."
            if settings.SANDBOX_ACTIVE
            else ""
        )
        return f"{run.provider.name}: failed after {seconds}. {run.error}{hint}"
    totals = run.report.get("totals", {})
    return (
        f"{run.provider.name}: {run.listed} models listed, {run.added} added, {run.changed} with a changed schema, "
        f"{run.updated} updated, {run.retired} retired, {run.failed} without a usable schema; "
        f"{totals.get('enabled', 0)} enabled, {totals.get('held', 0)} held ({seconds})."
    )
