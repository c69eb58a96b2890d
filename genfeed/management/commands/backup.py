"""`manage.py backup`: all that an installation is, in one folder, while it runs."""

import os
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from genfeed.backup.making import alone, make, remove_old
from genfeed.backup.manifest import BackupError
from genfeed.backup.secrets import PLAIN
from genfeed.backup.showing import passphrase_of, shown_progress
from genfeed.backup.telling import all_is_well, tell_failure


class Command(BaseCommand):
    help = (
        "Makes a backup while everything runs: the database as it is at one moment (SQLite by its own backup, "
        "PostgreSQL by pg_dump), the files of jobs and clients, or their list where they lie in another storage, and a "
        "manifest with the version and a checksum of everything. It is a folder named by the moment, which "
        "`manage.py restore` puts back. Files that the backup before has already are linked, so that they take no "
        "place again."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("into", type=Path, help="The folder that backups lie in, each in a folder of its own.")
        parser.add_argument("--keep", type=int, default=0, help="Remove all but so many of the newest afterwards.")
        parser.add_argument("--without-files", action="store_true", help="Leave the files of jobs and clients out.")
        parser.add_argument(
            "--with-secrets",
            action="store_true",
            help="Take SECRET_KEY, ENCRYPTION_KEYS and the other generated secrets along, without which what is sealed "
            "in the database can't be read. Who has the backup has them then: seal them with --passphrase-file.",
        )
        parser.add_argument("--passphrase-file", type=Path, help="A file with the passphrase that seals the secrets.")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["keep"] < 0:
            raise CommandError("--keep must be at least 1.")
        try:
            with alone(options["into"]), shown_progress() as progress:
                folder, told = make(
                    options["into"],
                    with_files=not options["without_files"],
                    with_secrets=options["with_secrets"],
                    passphrase=passphrase_of(options["passphrase_file"]),
                    progress=progress,
                )
                removed = remove_old(options["into"], keep=options["keep"]) if options["keep"] else []
        except BackupError as error:
            tell_failure(str(error))
            raise CommandError(str(error)) from error
        all_is_well()
        if told.secrets == PLAIN:
            self.stderr.write(
                f"{folder / PLAIN} holds this installation's secrets unsealed, readable by user {os.getuid()} alone: "
                "whoever gets hold of it can read every sealed secret and sign as this installation. Keep it apart."
            )
        files = {"folder": "files", "storage": "files listed", "none": "files"}[told.media]
        self.stdout.write(
            f"{folder}: {told.counts['clients']} clients, {told.counts['jobs']} jobs, "
            f"{told.counts['ledger_transactions']} ledger transactions, {told.media_files} {files}."
            + (f" {len(removed)} older ones were removed." if removed else "")
        )
