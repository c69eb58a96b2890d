"""The files of jobs and clients: copied, or only listed where they lie in a storage that keeps them by itself."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from django.core.files.storage import FileSystemStorage

from genfeed.backup.manifest import MEDIA, BackupError, Manifest, Progress, copy, sums_of
from jobs.assets.storage import storage
from jobs.models import Asset

LIST = "media.txt"
# Of the files in another storage, which is asked for each.
_LOOKED_FOR = 20


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


def require_place(told: Manifest) -> str:
    """Raises BackupError where the files of a backup would have no place here; else what is worth knowing, or ""."""
    has_folder = folder_of_files() is not None
    if told.media == "folder" and told.media_files and not has_folder:
        raise BackupError(
            f"The backup has {told.media_files} files in itself, and ASSET_STORAGE names a storage that they are not "
            "put into. Unset it, restore, and copy the files from there."
        )
    if told.media == "storage" and has_folder:
        return "The files lie in another storage, which ASSET_STORAGE does not name here: none of them can be opened."
    return ""


def put_back(folder: Path, progress: Progress) -> int:
    """Copies the files of a backup to where they belong; how many there were. Raises BackupError."""
    target = folder_of_files()
    if target is None:
        return 0
    names = sorted(_below(folder / MEDIA))
    try:
        for number, name in enumerate(names):
            progress("Files", number, len(names))
            (target / name).parent.mkdir(parents=True, exist_ok=True, mode=0o750)
            shutil.copyfile(folder / MEDIA / name, target / name)
            (target / name).chmod(0o640)
    except OSError as error:
        raise BackupError(
            f"The files could not be put back: {error}. The database is as empty as it was: mend that, remove what is "
            f"in {target}, and begin again."
        ) from error
    return len(names)


def words_of_missing(told: Manifest, folder: Path) -> str:
    """What there is to say of files that the database names and that are not here, or ""."""
    if told.media == "storage" and folder_of_files() is None:
        return _words_of_storage((folder / LIST).read_text().splitlines())
    gone = _missing()
    if not gone or told.media == "storage":
        return ""
    why = "were left out of the backup" if told.media == "none" else "were deleted while the backup was made"
    return f"{len(gone)} files {why}, the first is {gone[0]}."


def _missing() -> list[str]:
    """Names of files that the database says are stored and that are not in the folder."""
    target = folder_of_files()
    if target is None:
        return []
    stored = Asset.objects.filter(state=Asset.State.STORED).exclude(storage_name="")
    return [name for name in stored.values_list("storage_name", flat=True) if not (target / name).is_file()]


def _words_of_storage(names: list[str]) -> str:
    """Some of the files are looked for: another bucket, or one that can't be reached, has none of them."""
    some = names[:: max(1, len(names) // _LOOKED_FOR)][:_LOOKED_FOR]
    try:
        gone = [name for name in some if not storage().exists(name)]
    except OSError as error:
        return f"The storage of the files can't be asked: {error}."
    if not gone:
        return ""
    return f"{len(gone)} of {len(some)} files that were looked for are not in the storage: is it the one they were in?"


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
