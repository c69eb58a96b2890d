"""The files of jobs and clients: copied, or only listed where they lie in a storage that keeps them by itself."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from django.core.files.storage import FileSystemStorage

from genfeed.backup.manifest import MEDIA, BackupError, Progress, copy, sums_of
from jobs.assets.storage import storage
from jobs.models import Asset

LIST = "media.txt"


def folder_of_files() -> Path | None:
    """Where the files lie, or None where that is no folder."""
    own = storage()
    return Path(own.location) if isinstance(own, FileSystemStorage) else None


def save(source: Path, folder: Path, before: Path | None, progress: Progress) -> tuple[dict[str, str], int]:
    """Copies all files below `source` to `folder`/media; their checksums by name, and their bytes.

    A stored file never changes, so one that the backup `before` has with the same name and size is linked, not copied.
    To be called after the database was copied: then it has every file that the copy speaks of.
    """
    known = sums_of(before) if before else {}
    names = sorted(_below(source))
    sums: dict[str, str] = {}
    total = 0
    for number, name in enumerate(names):
        progress("Files", number, len(names))
        key = f"{MEDIA}/{name}"
        target = folder / key
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            size = (source / name).stat().st_size
            if before and key in known and _link(before / key, target, size):
                sums[key] = known[key]
            else:
                with (source / name).open("rb") as read, target.open("xb") as written:
                    sums[key], size = copy(read, written)
        except FileNotFoundError:
            # Deleted meanwhile, as retention does.
            continue
        total += size
    return sums, total


def write_list(folder: Path, progress: Progress) -> int:
    """Writes the names of all stored files, for a storage that keeps them by itself; how many there are."""
    names = Asset.objects.exclude(storage_name="").order_by("pk").values_list("storage_name", flat=True)
    count = 0
    with (folder / LIST).open("x") as file:
        for name in names.iterator():
            file.write(f"{name}\n")
            count += 1
            if count % 1000 == 0:
                progress("Files", count, 0)
    return count


def require_empty() -> None:
    """Raises BackupError where the folder of files has any: nothing is ever overwritten."""
    target = folder_of_files()
    if target and next(_below(target), None):
        raise BackupError(f"{target} has files. Nothing is overwritten: move them, or name another GENFEED_VAR_DIR.")


def put_back(folder: Path, progress: Progress) -> int:
    """Copies the files of a backup to where they belong; how many there were."""
    target = folder_of_files()
    if target is None:
        return 0
    names = sorted(_below(folder / MEDIA))
    for number, name in enumerate(names):
        progress("Files", number, len(names))
        (target / name).parent.mkdir(parents=True, exist_ok=True, mode=0o750)
        shutil.copyfile(folder / MEDIA / name, target / name)
        (target / name).chmod(0o640)
    return len(names)


def missing() -> list[str]:
    """Names of files that the database says are stored and that are not in the folder."""
    target = folder_of_files()
    if target is None:
        return []
    stored = Asset.objects.filter(state=Asset.State.STORED).exclude(storage_name="")
    return [name for name in stored.values_list("storage_name", flat=True) if not (target / name).is_file()]


def _below(folder: Path) -> Iterator[str]:
    return (str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def _link(before: Path, target: Path, size: int) -> bool:
    try:
        if before.stat().st_size != size:
            return False
        os.link(before, target)
    except OSError:
        return False
    return True
