"""Making a backup while everything runs: the database first, then the files that it speaks of, then the proof."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from django.conf import settings
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder

from genfeed.backup import database, manifest, media, secrets
from genfeed.backup.manifest import BackupError, Manifest, Progress

_NAME = re.compile(r"\d{4}-\d\d-\d\dT\d\d-\d\d-\d\dZ")
_UNFINISHED = ".unfinished"


def make(
    into: Path, *, with_files: bool, with_secrets: bool, passphrase: str, progress: Progress
) -> tuple[Path, Manifest]:
    """A folder below `into`, named by the moment and readable by its owner alone; whole, or not there.

    Raises BackupError.
    """
    made_at = manifest.now()
    name = f"{made_at:%Y-%m-%dT%H-%M-%SZ}"
    folder, finished = into / f"{name}{_UNFINISHED}", into / name
    before = next(iter(reversed(existing(into))), None)
    old = os.umask(0o077)
    try:
        into.mkdir(parents=True, exist_ok=True)
        folder.mkdir()
        told = _fill(folder, before, with_files, with_secrets, passphrase, made_at.isoformat(), progress)
        folder.rename(finished)
    except OSError as error:
        raise BackupError(f"The backup could not be written: {error}.") from error
    finally:
        os.umask(old)
        if not finished.exists():
            shutil.rmtree(folder, ignore_errors=True)
    return finished, told


@contextmanager
def alone(into: Path) -> Iterator[None]:
    """While it lasts, no other process makes or removes backups in the folder. Raises BackupError where one does."""
    try:
        into.mkdir(parents=True, exist_ok=True, mode=0o700)
        number = os.open(into, os.O_RDONLY)
    except OSError as error:
        raise BackupError(f"{into} can't be written to: {error.strerror}.") from error
    try:
        try:
            fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BackupError(f"Another backup is being made in {into}; wait for its end.") from None
        except OSError:
            # Not every file system of another machine locks folders.
            pass
        yield
    finally:
        os.close(number)


def existing(into: Path) -> list[Path]:
    """Whole backups in a folder, the oldest first."""
    found = into.iterdir() if into.is_dir() else []
    return sorted(path for path in found if _NAME.fullmatch(path.name) and (path / manifest.SUMS).is_file())


def remove_old(into: Path, *, keep: int) -> list[Path]:
    """Removes all whole backups but the newest `keep`, and what interrupted ones left; those that were removed.

    Raises BackupError.
    """
    too_old = existing(into)[:-keep]
    left = [path for path in into.iterdir() if path.name.endswith(_UNFINISHED) and _NAME.match(path.name)]
    try:
        for path in (*too_old, *left):
            shutil.rmtree(path)
    except OSError as error:
        raise BackupError(f"The new backup is whole, but an old one could not be removed: {error}.") from error
    return too_old


def _fill(
    folder: Path, before: Path | None, with_files: bool, with_secrets: bool, passphrase: str, made_at: str,
    progress: Progress,
) -> Manifest:  # fmt: skip
    dumped, counts = database.dump(folder, progress)
    sums = {dumped: manifest.digest_of(folder / dumped)}
    files, size = 0, 0
    source = media.folder_of_files()
    if with_files and source:
        copied, size = media.save(source, folder, before, progress)
        sums |= copied
        files = len(copied)
    elif with_files:
        files = media.write_list(folder, progress)
        sums[media.LIST] = manifest.digest_of(folder / media.LIST)
    kept = secrets.save(folder, passphrase) if with_secrets else ""
    if kept:
        sums[kept] = manifest.digest_of(folder / kept)
    told = Manifest(
        format=manifest.FORMAT,
        made_at=made_at,
        version=manifest.version(),
        mode=settings.GENFEED_MODE,
        database=connection.vendor,
        database_version=".".join(map(str, connection.get_database_version())),
        migrations=last_migrations(),
        counts=counts,
        media="none" if not with_files else "folder" if source else "storage",
        media_files=files,
        media_bytes=size,
        secrets=kept,
        keys=secrets.digests(),
    )
    manifest.write(folder, told, sums)
    return told


def last_migrations() -> dict[str, str]:
    """The last applied migration of each app."""
    applied = sorted(MigrationRecorder(connection).applied_migrations())
    return dict(applied)
