"""`manage.py migrate`: Django's own, one at a time."""

from typing import Any

from django.core.management.commands import migrate
from django.db import connections

from genfeed.migrating import one_at_a_time


class Command(migrate.Command):
    help = (
        f"{migrate.Command.help} Of several processes that start it at once, on however many machines, one does it "
        "while the others wait, and then find nothing to do."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        if options["plan"] or options["check_unapplied"]:
            super().handle(*args, **options)
            return
        with one_at_a_time(connections[options["database"]], self.stderr.write):
            super().handle(*args, **options)
