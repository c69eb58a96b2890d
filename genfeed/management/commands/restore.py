"""`manage.py restore`: a backup into an empty installation, proven."""

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from genfeed.backup.manifest import BackupError
from genfeed.backup.restoring import restore, settle
from genfeed.backup.showing import passphrase_of, shown_progress


class Command(BaseCommand):
    help = (
        "Puts a backup of `manage.py backup` back into an installation without data: verifies every checksum, refuses "
        "whatever is not empty, brings the database up to date, proves the ledger and makes the sums of reports anew. "
        "Start it while no other process of the installation runs. Jobs that waited at the time of the backup may have "
        "been sent after it: they are looked for at their provider, and are given up without a charge where it does "
        "not have them."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("folder", type=Path, nargs="?", help="The backup: a folder with a manifest.")
        parser.add_argument(
            "--nothing-ran-since",
            action="store_true",
            help="All processes were stopped before the backup was made, so that waiting jobs can't have been sent: "
            "they go on.",
        )
        parser.add_argument(
            "--with-secrets", action="store_true", help="Put the secrets back that the backup was made with."
        )
        parser.add_argument("--passphrase-file", type=Path, help="A file with the passphrase that sealed the secrets.")
        parser.add_argument(
            "--other-keys",
            action="store_true",
            help="Go on although ENCRYPTION_KEYS are others: sealed secrets of clients and providers are lost.",
        )
        parser.add_argument(
            "--database-is-back",
            action="store_true",
            help="The database was put back by other means, e.g. to a point in time by PostgreSQL's own archive. Only "
            "do what an earlier moment needs: hold waiting jobs back, make sums anew, prove the ledger.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if bool(options["folder"]) == options["database_is_back"]:
            raise CommandError("Name the folder of a backup, or say --database-is-back.")
        try:
            with shown_progress() as progress:
                if options["database_is_back"]:
                    held_back = settle(nothing_ran_since=options["nothing_ran_since"], progress=progress)
                    words, warnings = "", list[str]()
                else:
                    done = restore(
                        options["folder"],
                        with_secrets=options["with_secrets"],
                        passphrase=passphrase_of(options["passphrase_file"]),
                        other_keys=options["other_keys"],
                        nothing_ran_since=options["nothing_ran_since"],
                        progress=progress,
                    )
                    held_back, warnings = done.held_back, done.warnings
                    counts = done.manifest.counts
                    words = (
                        f"Put back what was there at {done.manifest.made_at}: {counts['clients']} clients, "
                        f"{counts['jobs']} jobs, {done.files} files. "
                    )
        except BackupError as error:
            raise CommandError(str(error)) from error
        for warning in warnings:
            self.stderr.write(warning)
        self.stdout.write(
            f"{words}The ledger is proven. {held_back} jobs that waited are looked for at their provider."
        )
