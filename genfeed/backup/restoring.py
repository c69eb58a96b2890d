"""Putting a backup back into an empty installation, and proving what is there then."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection
from django.db.migrations.loader import MigrationLoader

from genfeed.backup import database, manifest, media, secrets
from genfeed.backup.making import existing
from genfeed.backup.manifest import BackupError, Manifest, Progress
from genfeed.backup.reopening import hold_back_what_may_be_sent
from pricing.ledger.checking import check_ledger
from pricing.reports.rollups import rebuild


@dataclass(frozen=True)
class Restored:
    """What was put back: files, jobs that are looked for at their provider, and what a person should know."""

    manifest: Manifest
    files: int
    held_back: int
    warnings: list[str]


def restore(
    folder: Path, *, with_secrets: bool, passphrase: str, other_keys: bool, nothing_ran_since: bool, progress: Progress
) -> Restored:
    """Verifies the backup, puts it into an installation without data, and proves it. Raises BackupError.

    Nothing is changed before all that can be asked is known. `other_keys`: what is sealed may be lost.
    `nothing_ran_since`: waiting jobs go on, as nobody can have sent them.
    """
    if inside := existing(folder):
        raise BackupError(f"{folder} is where backups lie. Name one of them, such as the newest, {inside[-1]}.")
    told = manifest.read(folder)
    require_known(told)
    found = secrets.read(folder, told, passphrase) if with_secrets else {}
    database.require_empty()
    media.require_empty()
    warnings = [media.require_place(told)]
    warnings += [] if with_secrets or other_keys else [secrets.require_same(told)]
    manifest.verify(folder, progress)

    if elsewhere := secrets.put_back(found):
        warnings.append(f"The environment sets {', '.join(elsewhere)}, which wins over the backup's.")
    # Before the database: what looks like an installation must be one.
    files = media.put_back(folder, progress)
    database.load(folder, progress)
    if (counts := database.counts()) != told.counts:
        raise BackupError(f"The database has {counts} and the manifest says {told.counts}: do not use it.")
    try:
        call_command("migrate", interactive=False, verbosity=0)
        held_back = settle(nothing_ran_since=nothing_ran_since, progress=progress)
    except (DatabaseError, OSError, CommandError) as error:
        raise BackupError(
            f"The database is back, but is not ready: {error}. Start nothing, or jobs that waited may be sent a second "
            "time. Mend that, then run `migrate` and `restore --database-is-back`."
        ) from error
    warnings.append(media.words_of_missing(told, folder))
    return Restored(told, files, held_back, [words for words in warnings if words])


def settle(*, nothing_ran_since: bool, progress: Progress) -> int:
    """What a database needs that is of an earlier moment: jobs held back, sums made anew, the ledger proven.

    How many jobs were held back. Raises BackupError where the ledger is wrong.
    """
    held_back = 0 if nothing_ran_since else hold_back_what_may_be_sent()
    progress("Making sums anew", 0, 1)
    rebuild(told=lambda _day: None)
    if found := check_ledger():
        shown = "; ".join(f"{one.invariant} {one.subject}: {one.words}" for one in found[:5])
        raise BackupError(f"The ledger is wrong in {len(found)} places: {shown}. Do not use this database.")
    return held_back


def require_known(told: Manifest) -> None:
    """Raises BackupError for another kind of database, and for migrations that this program does not have."""
    if told.database != connection.vendor:
        raise BackupError(f"The backup is of {told.database}, and DATABASE_URL names {connection.vendor}.")
    known = MigrationLoader(None).disk_migrations
    if newer := [f"{app}.{name}" for app, name in told.migrations.items() if (app, name) not in known]:
        raise BackupError(
            f"The backup is of version {told.version}, which has migrations that this one lacks ({newer[0]}). Install "
            "that version or a newer one."
        )
