"""`manage.py rebuild_rollups`: make the sums that reports read anew from usage records and ledger."""

import time
from datetime import date
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from pricing.reports.rollups import rebuild, roll_up


class Command(BaseCommand):
    help = (
        "Makes the daily and monthly sums that reports read anew from usage records and ledger. Reports stay readable "
        "meanwhile. With --increment, only brings them up to date, as the worker does every five minutes."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--increment", action="store_true", help="Only the days that something new belongs to.")

    def handle(self, *args: Any, **options: Any) -> None:
        started = time.monotonic()

        def tell(day: date) -> None:
            if self.stdout.isatty():
                self.stdout.write(f"\r{day}", ending="")

        days = (roll_up if options["increment"] else rebuild)(told=tell)
        ending = "\r" if self.stdout.isatty() else ""
        self.stdout.write(f"{ending}{days} days made in {time.monotonic() - started:.1f} s.")
