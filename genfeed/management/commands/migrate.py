"""`manage.py migrate`: Django's own, one at a time."""

from typing import Any

from django.core.management.base import CommandParser
from django.core.management.commands import migrate
from django.db import connections

from genfeed.migrating import one_at_a_time, wait_for


class Command(migrate.Command):
    help = (
        f"{migrate.Command.help} Of several processes that start it at once, on however many machines, one does it "
        "while the others wait, and then find nothing to do."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "--wait", type=float, default=0, metavar="SECONDS",
            help="Wait so long for a server that does not answer yet; what it refuses us for ends the command at once.",
        )  # fmt: skip

    def handle(self, *args: Any, **options: Any) -> None:
        if options["plan"] or options["check_unapplied"]:
            super().handle(*args, **options)
            return
        if options.get("wait"):
            wait_for(connections[options["database"]], self.stderr.write, seconds=options["wait"])
        with one_at_a_time(connections[options["database"]], self.stderr.write):
            super().handle(*args, **options)
