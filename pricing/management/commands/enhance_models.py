"""`manage.py enhance_models`: set the existing collection beside what the providers offer and charge."""

import json
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from pricing.existing.adopting import adopt_prices, why_not_adoptable
from pricing.existing.enhancing import EnhancementResult, enhance
from pricing.management.commands.import_existing import ACTOR, add_adapter_arguments, read_rows
from pricing.models import ExistingModel


class Command(BaseCommand):
    help = (
        "Enhances the existing collection: asks the providers for new models and prices, puts the provider's cost "
        "beside each existing price, and reports duplicates. Prices, switches and fields of existing models stay as "
        "they are. Safe to run twice: the second run changes nothing."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="Show what would be done, and write nothing.")
        parser.add_argument(
            "--pricing-only", action="store_true", help="Only put costs beside: no new models, no duplicates."
        )
        parser.add_argument("--details", metavar="FILE", help="Write the result with all details to this file (JSON).")
        parser.add_argument("--from", dest="file", metavar="FILE", help="Import this file first (JSON or CSV).")
        parser.add_argument(
            "--offline", action="store_true", help="Ask no provider: work with the models and prices that are known."
        )
        parser.add_argument(
            "--adopt-prices",
            action="store_true",
            help="Afterwards let the price that cost and margin rules make stand for existing models, in place of "
            "their own. Asks before it does.",
        )
        parser.add_argument("--only", action="append", default=[], metavar="ID", help="With --adopt-prices: these.")
        parser.add_argument("--yes", action="store_true", help="Answer yes to the question of --adopt-prices.")
        add_adapter_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        if options["adopt_prices"] and options["dry_run"]:
            raise CommandError("--adopt-prices with --dry-run: the admin page of the existing models previews it.")
        good, bad = read_rows(self, options["file"], options) if options["file"] else ([], [])
        console = Console(stderr=True)
        columns = (
            SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
        )  # fmt: skip
        with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as progress:
            bar = progress.add_task("enhancing", total=None)

            def show(phase: str, done: int, total: int) -> None:
                progress.update(bar, description=phase, completed=done, total=total or None)

            result = enhance(
                actor=ACTOR,
                dry_run=options["dry_run"],
                pricing_only=options["pricing_only"],
                discover=not options["offline"],
                rows=good,
                bad_rows=bad,
                on_progress=show,
            )
        self._tell(result, dry_run=options["dry_run"])
        if options["details"]:
            self._write_details(result, options["details"])
        if options["adopt_prices"]:
            self._adopt(options["only"], sure=options["yes"])
        if result.errors:
            raise CommandError(f"{result.errors} could not be done; what could be is done.")

    def _tell(self, result: EnhancementResult, *, dry_run: bool) -> None:
        if dry_run:
            self.stdout.write("Dry run: nothing was written. This is what would be done.")
        self.stdout.write(
            f"added {result.added}, updated {result.updated}, skipped {result.skipped}, "
            f"duplicates {result.duplicates}, errors {result.errors}; costs put beside: {result.pricing_synced}"
        )
        for entry in result.details:
            if entry["action"] == "error":
                self.stderr.write(f"{entry['provider'] or entry['id']}: {entry['why']}")

    def _write_details(self, result: EnhancementResult, name: str) -> None:
        try:
            Path(name).write_text(json.dumps(result.as_dict(), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        except OSError as error:
            raise CommandError(f"The details could not be written to {name}: {error.strerror}.") from None
        self.stdout.write(f"Details: {name}")

    def _adopt(self, only: list[str], *, sure: bool) -> None:
        rows = ExistingModel.objects.select_related("model__pricing").order_by("pk")
        if only:
            rows = rows.filter(legacy_id__in=only)
            unknown = sorted(set(only) - set(rows.values_list("legacy_id", flat=True)))
            if unknown:
                raise CommandError(f"Not in the existing collection: {', '.join(unknown)}.")
        wanted = [row for row in rows if not why_not_adoptable(row)]
        if not wanted:
            self.stdout.write("There is no existing model whose price could be adopted.")
            return
        if not sure:
            self.stdout.write(f"{len(wanted)} existing models would get another selling price:")
            for row in wanted[:20]:
                self.stdout.write(f"  {row.legacy_id}")
            if input("Adopt the computed prices? Type yes: ").strip().lower() != "yes":
                self.stdout.write("Nothing was adopted.")
                return
        result = adopt_prices(wanted, actor=ACTOR, reason="enhance_models --adopt-prices")
        self.stdout.write(f"{len(result.changed)} prices adopted.")
