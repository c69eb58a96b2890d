"""Files on S3, or what speaks its protocol: django-storages, so set up that memory does not grow with the files.

As shipped, django-storages reads a whole object into memory before its first byte is served, and raises errors of its
own kind. Here objects are streamed, ranges are asked of S3, and a failure is the OSError that any storage raises.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO, cast

from boto3.exceptions import Boto3Error
from boto3.s3.transfer import TransferConfig
from botocore.exceptions import BotoCoreError, ClientError
from django.core.files.base import File
from storages.backends import s3

_PIECE = 8 * 1024 * 1024
_GONE = ("404", "NoSuchKey", "NotFound")


class S3Storage(s3.S3Storage):
    """ASSET_STORAGE=jobs.assets.s3.S3Storage; options as django-storages names them."""

    def get_default_settings(self) -> dict[str, Any]:
        """With bounded memory: larger objects spill to the disk, and one upload holds one piece at a time."""
        found: dict[str, Any] = super().get_default_settings()
        transfer = TransferConfig(use_threads=False, multipart_threshold=_PIECE, multipart_chunksize=_PIECE)
        return {**found, "max_memory_size": _PIECE, "transfer_config": transfer, "default_acl": None}

    def open_range(self, name: str, start: int, length: int | None) -> BinaryIO:
        """The bytes from `start` on, `length` of them or all, as they come from S3. Raises OSError."""
        end = "" if length is None else str(start + length - 1)
        with _as_os_errors():
            found = self.bucket.Object(self._key(name)).get(Range=f"bytes={start}-{end}")
        return cast(BinaryIO, found["Body"])

    def _key(self, name: str) -> str:
        key: str = self._normalize_name(s3.clean_name(name))
        return key

    def _open(self, name: str, mode: str = "rb") -> File:
        with _as_os_errors():
            found: File = super()._open(name, mode)
            return found

    def _save(self, name: str, content: Any) -> str:
        with _as_os_errors():
            saved: str = super()._save(name, content)
            return saved

    def delete(self, name: str) -> None:
        with _as_os_errors():
            super().delete(name)

    def exists(self, name: str) -> bool:
        with _as_os_errors():
            return bool(super().exists(name))

    def listdir(self, name: str) -> tuple[list[str], list[str]]:
        with _as_os_errors():
            found: tuple[list[str], list[str]] = super().listdir(name)
            return found


@contextmanager
def _as_os_errors() -> Iterator[None]:
    try:
        yield
    except ClientError as error:
        code = str(error.response.get("Error", {}).get("Code", ""))
        if code in _GONE:
            raise FileNotFoundError(f"S3: {code}") from error
        raise OSError(f"S3: {code}") from error
    except (Boto3Error, BotoCoreError) as error:
        raise OSError(f"S3: {type(error).__name__}") from error
