"""`manage.py export_catalog FILE`: the catalog as a signed file, for installations without a network."""

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from catalog.exchange import signing
from genfeed.cloud.downloading import CloudError
from genfeed.cloud.syncing import export_file


class Command(BaseCommand):
    help = (
        "Writes models, schemas, list prices and price rules into a file, signed with CATALOG_SIGNING_KEY; "
        "`manage.py import_catalog` reads it elsewhere. There are no margins, clients or money in it, and no prices "
        "that are this installation's own."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", help="The file to write.")
        parser.add_argument(
            "--since", type=int, default=0, metavar="REVISION", help="Only what changed after this revision."
        )

        parser.add_argument(
            "--new-key", action="store_true", help="Sign exports with CATALOG_SIGNING_KEY of this machine from now on."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            revision, size, key = export_file(Path(options["file"]), since=options["since"], new_key=options["new_key"])
        except CloudError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(
            f"Wrote revision {revision} to {options['file']}: {size:,} bytes, signed with the key "
            f"{signing.fingerprint(key)}."
        )
