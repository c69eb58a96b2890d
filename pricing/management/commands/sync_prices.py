"""`manage.py sync_prices`: read prices and price texts, now, without the catalog."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from catalog import sync_runs
from catalog.providers import base
from pricing.prices.sync import sync_prices


class Command(BaseCommand):
    help = (
        "Reads the prices and the price texts of a provider's known models, past the guards, and brings selling prices "
        "up to date. Models are discovered by sync_models, which reads prices too."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--provider", default="", help="Only this provider, e.g. fal. Without it: all of them.")
        parser.add_argument(
            "--full",
            action="store_true",
            help="Ask again for models without a price, and work out every selling price anew.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        rows = sync_runs.ensure_providers()
        slugs = [options["provider"]] if options["provider"] else [entry.slug for entry in base.in_use()]
        if slugs[0] not in rows:
            raise CommandError(f"There is no provider {slugs[0]!r}. Registered providers: {', '.join(rows)}.")
        failed = [slug for slug in slugs if not self._sync(slug, rows[slug].name, full=options["full"])]
        if failed:
            raise CommandError(f"The prices could not be read for: {', '.join(failed)}. The old ones stay.")

    def _sync(self, slug: str, name: str, *, full: bool) -> bool:
        console = Console(stderr=True)
        columns = (
            SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
        )  # fmt: skip
        with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as progress:
            bar = progress.add_task(name, total=None)

            def show(phase: str, done: int, total: int) -> None:
                progress.update(bar, description=f"{name}: {phase}", completed=done, total=total or None)

            result = sync_prices(None, slug=slug, full=full, on_progress=show)
        self.stdout.write(result.summary())
        return not result.error
