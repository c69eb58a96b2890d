"""`manage.py demo`: a month of simulated clients, so that every page of the admin has something to show."""

import logging
import time
from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser

from genfeed.demo import guard
from genfeed.demo.clock import moved_clock
from genfeed.demo.month import DemoError, Month
from genfeed.demo.provider import SandboxFailedError, own_sandbox
from genfeed.up import SANDBOX_PORT


class Command(BaseCommand):
    help = (
        "Fills an empty installation with a month of simulated clients: it starts a sandbox of its own and lets the "
        "real code accept, run, settle and report their jobs under a clock that jumps. It needs a database without "
        "jobs and without booked money, and refuses any other: what it books can't be taken back. Stop `manage.py up` "
        "before."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--days", type=int, default=30, help="Days of the busy month; 30 by default.")
        parser.add_argument(
            "--quiet-days", type=int, default=14, help="Quieter days before it, 0 to 90; 14 by default."
        )
        parser.add_argument(
            "--sandbox-port", type=int, default=SANDBOX_PORT, help=f"The sandbox's port; {SANDBOX_PORT} by default."
        )
        parser.add_argument("--seed", type=int, default=1, help="Another number makes another month.")

    def handle(self, *args: Any, **options: Any) -> None:
        if not 1 <= options["days"] <= 90:
            raise CommandError("--days must be 1 to 90.")
        if not 0 <= options["quiet_days"] <= 90:
            raise CommandError("--quiet-days must be 0 to 90.")
        started = time.monotonic()
        call_command("migrate", interactive=False, verbosity=0)
        if why := guard.why_not():
            raise CommandError(why)
        # Each job ends with a line of the log, and each refused request with a warning: here both are meant.
        logging.disable(logging.WARNING)
        try:
            with own_sandbox(options["sandbox_port"]) as provider, moved_clock() as clock:
                month = Month(
                    clock, provider, self._say, options["days"], quiet_days=options["quiet_days"], seed=options["seed"]
                )
                month.run()
        except (DemoError, SandboxFailedError) as error:
            raise CommandError(str(error)) from error
        finally:
            logging.disable(logging.NOTSET)
        refused = ", ".join(f"{count} {code}" for code, count in month.refused.most_common())
        self._say(
            f"{month.accepted} jobs of demo clients, and refused: {refused}. {time.monotonic() - started:.0f} s.\n"
            "Now `manage.py up`, and look at the start page, Usage records → Profitability, and Recommendations."
        )

    def _say(self, words: str) -> None:
        self.stdout.write(words)
        self.stdout.flush()
