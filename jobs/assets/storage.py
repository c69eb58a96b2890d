"""Where files lie: Django's storage `assets` (a folder by default, S3 and others by setting)."""

from __future__ import annotations

from typing import Any, BinaryIO, cast

from django.core.files.base import File
from django.core.files.storage import Storage, storages

from jobs.assets.models import Asset


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


def delete(name: str) -> None:
    """Deletes a file; one that is gone already is fine."""
    if name:
        storage().delete(name)
