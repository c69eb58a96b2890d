"""`manage.py import_catalog FILE`: take a catalog over from a file, without any network."""

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from catalog.exchange import signing
from catalog.exchange.file_format import BadExportError
from genfeed.cloud import taking
from genfeed.cloud.downloading import CloudError
from genfeed.cloud.showing import add_trust_arguments, shown_progress, told, trust_of
from genfeed.cloud.syncing import import_file
from genfeed.journal import links


class Command(BaseCommand):
    help = (
        "Takes models, schemas, list prices and price rules over from a file that `manage.py export_catalog` wrote or "
        "that was fetched from /api/v1/catalog/export. The signature is checked; the signer's key is pinned at first "
        "use, unless CLOUD_PUBLIC_KEY names it. What was set by hand here stays."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", help="The exported catalog.")
        add_trust_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        links.get_ready()
        before = taking.had()
        try:
            with shown_progress() as progress:
                taken = import_file(Path(options["file"]), trust=trust_of(options), progress=progress)
        except (CloudError, BadExportError) as error:
            raise CommandError(str(error)) from error
        state = taking.had()
        if state and (before is None or before.public_key != state.public_key):
            self.stdout.write(
                f"From now on exports of the key {signing.fingerprint(state.public_key)} are trusted. Compare it with "
                "what their maker says."
            )
        self.stdout.write(told(taken))
