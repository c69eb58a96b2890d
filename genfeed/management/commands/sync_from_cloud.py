"""`manage.py sync_from_cloud`: bring the catalog from a cloud installation, now."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from catalog.exchange.file_format import BadExportError
from genfeed.cloud.downloading import CloudError
from genfeed.cloud.showing import add_trust_arguments, shown_progress, told, trust_of
from genfeed.cloud.syncing import sync_from_cloud
from genfeed.journal import links


class Command(BaseCommand):
    help = (
        "Asks the installation at CLOUD_URL for what is new in its catalog, checks the signature, and takes models, "
        "schemas, list prices and price rules over. What was set by hand here stays. An interrupted download goes on "
        "where it broke off. Whatever fails, the catalog that is here stays as it was."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--full", action="store_true", help="Take the whole catalog, not only what has changed.")
        add_trust_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        links.get_ready()
        try:
            with shown_progress() as progress:
                taken = sync_from_cloud(
                    trigger="command", full=options["full"], trust=trust_of(options), progress=progress
                )
        except (CloudError, BadExportError) as error:
            raise CommandError(str(error)) from error
        self.stdout.write(told(taken))
