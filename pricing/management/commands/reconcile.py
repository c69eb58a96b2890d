"""`manage.py reconcile`: bring the books to what the providers billed."""

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from catalog.providers import base
from catalog.providers.base import ProviderNotConfiguredError, UnknownProviderError, open_provider
from pricing.models import ReconciliationRun
from pricing.reconciling.reconcile import reconcile
from pricing.reconciling.runs import AlreadyRunningError


class Command(BaseCommand):
    help = (
        "Reads the provider's bill from the watermark on (and two hours, or with --deep a week, before it), and "
        "corrects what was booked otherwise. It runs every hour by itself. Running it twice changes nothing."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--provider", default=base.usual(), help="The provider's short name (default: %(default)s)."
        )
        parser.add_argument("--deep", action="store_true", help="Read back a week, as happens once a day.")
        parser.add_argument("--json", action="store_true", help="Print one line of JSON.")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            open_provider(options["provider"]).close()
            run = reconcile(options["provider"], trigger="command", deep=options["deep"])
        except (ProviderNotConfiguredError, UnknownProviderError, AlreadyRunningError) as error:
            raise CommandError(str(error)) from None
        if options["json"]:
            self.stdout.write(json.dumps({"status": run.status, "error": run.error, **run.report}))
        if run.status != ReconciliationRun.Status.SUCCEEDED:
            raise CommandError(f"{run.error} The next run reads the same again.")
        if not options["json"]:
            report = run.report
            bills = ", ".join(f"{n} {state}" for state, n in report["bills"].items()) or "nothing to match"
            until = f"{run.read_until:%Y-%m-%d %H:%M}"
            self.stdout.write(f"Read {report['lines']} lines ({report['new']} new) until {until} UTC: {bills}.")
