"""Where files lie: Django's storage `assets` (a folder by default, S3 and others by setting)."""

from __future__ import annotations

from typing import Any, BinaryIO, cast

from django.core.files.base import File
from django.core.files.storage import Storage, storages

from genfeed.journal.alerts import raise_alert, resolve
from genfeed.journal.models import Alert
from jobs.assets.models import Asset

_TROUBLE = ("storage_failed", "assets")


def storage() -> Storage:
    """The storage of all files."""
    return storages["assets"]


def open_file(name: str, start: int = 0, length: int | None = None) -> BinaryIO:
    """A file to be read onwards from `start`, and no further than `length` bytes. Raises OSError.

    A storage that can fetch a part alone has `open_range`; of others the file is opened and sought in.
    """
    own: Any = storage()
    if hasattr(own, "open_range"):
        return cast(BinaryIO, own.open_range(name, start, length))
    file = cast(BinaryIO, own.open(name))
    file.seek(start)
    return file


class MovableFile(File):
    """A finished temporary file, which a storage on the same disk takes over without copying it."""

    def __init__(self, file: Any, path: str) -> None:
        super().__init__(file, name=path)
        self._path = path

    def temporary_file_path(self) -> str:
        """Django's file system storage moves what has one."""
        return self._path


def name_for(asset: Asset, ending: str) -> str:
    """A name that nobody guesses from outside and no two attempts share: client/month/id-attempt.ending."""
    return f"{asset.client_id}/{asset.created_at:%Y-%m}/{asset.pk}-{asset.attempts}.{ending}"


def tell_trouble(problem: str) -> None:
    """Tells staff that files can't be stored. It is over with the first that is."""
    raise_alert(
        *_TROUBLE,
        "Files can't be stored",
        f"The last one met: {problem}. Jobs go on, and their files are tried again until they are stored. "
        "Make room on the disk of MEDIA_ROOT, or mend the storage.",
        level=Alert.Level.CRITICAL,
        url="/admin/jobs/asset/?state__exact=pending",
    )


def trouble_is_over() -> None:
    """A file was stored: whatever kept others from it is gone."""
    code, subject = _TROUBLE
    # Looked at first: on SQLite an UPDATE waits for all other writers, also where it finds nothing to change.
    if Alert.objects.filter(code=code, subject=subject, resolved_at=None).exists():
        resolve(code, subject)


def delete(name: str) -> None:
    """Deletes a file; one that is gone already is fine."""
    if name:
        storage().delete(name)
