"""Files that come in pieces: what has arrived stays, whatever happens to the connection or to the process.

A body is cut into parts of a fixed size. Each goes into the storage, and only then moves the offset: so memory does not
grow with the file, and of a process that is killed at most one part is sent again.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import BinaryIO, cast

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from genfeed.clients.errors import ApiError
from jobs.assets import parts
from jobs.assets.finding import safe_name
from jobs.assets.models import Asset, PartialUpload, UploadPart
from jobs.assets.storage import MovableFile, delete, storage
from jobs.assets.uploading import storage_failed
from jobs.ids import new_id

PART_BYTES = 16 * 1024 * 1024
_PIECE = 256 * 1024
ALGORITHMS = ("sha256", "sha1", "md5")
State = Asset.State


@dataclass(frozen=True, slots=True)
class Checksum:
    """What the sender says of a body: a name out of ALGORITHMS, and the digest."""

    algorithm: str
    digest: bytes


def begin(client_id: int, *, length: int, metadata: str) -> PartialUpload:
    """Announces a file of `length` bytes; raises ApiError for one that is too large or empty, and for too many."""
    if length > settings.RESUMABLE_MAX_BYTES:
        raise ApiError(
            "payload_too_large", f"A file may have {settings.RESUMABLE_MAX_BYTES} bytes.", "Send a smaller one."
        )
    if length == 0:
        raise ApiError("invalid_request", "The file is empty.", "Send its content.")
    try:
        pairs = parts.told(metadata)
    except ValueError:
        raise ApiError(
            "invalid_request", "Upload-Metadata can't be read.", "Send pairs of a key and a text in base64."
        ) from None
    open_ones = PartialUpload.objects.filter(asset__client_id=client_id, asset__state=State.PARTIAL)
    if open_ones.count() >= settings.MAX_PARTIAL_UPLOADS:
        raise ApiError(
            "too_many_in_flight",
            f"{settings.MAX_PARTIAL_UPLOADS} uploads of yours are not complete.",
            "Complete them, or DELETE those that you gave up.",
            retry_after=60,
        )
    name = safe_name(pairs.get("filename") or pairs.get("name") or "file")
    with transaction.atomic(durable=True):
        asset = Asset.objects.create(
            id=new_id("ast"),
            client_id=client_id,
            origin=Asset.Origin.UPLOAD,
            state=State.PARTIAL,
            kind="other",
            name=name,
        )
        return PartialUpload.objects.create(asset=asset, length=length, metadata=metadata, expires_at=_expiry())


def receive(upload: PartialUpload, read: Callable[[int], bytes], *, checksum: Checksum | None = None) -> None:
    """Takes what `read` brings, from the offset of `upload` on, and moves it; the last byte gives the file to fetchers.

    A body that breaks off is kept as far as it came; one with a checksum only as a whole. Raises ApiError, 409 where
    somebody else has moved the offset, 460 where the checksum is another.
    """
    while upload.offset < upload.length:
        left = upload.length - upload.offset
        most = left if checksum else min(left, PART_BYTES)
        with tempfile.NamedTemporaryFile(dir=settings.ASSET_TEMP_DIR, delete_on_close=False) as temporary:
            file = cast(BinaryIO, temporary)
            size = _copy(read, file, most, checksum)
            if size == 0:
                return
            try:
                file.flush()
                os.fsync(file.fileno())
                name = parts.new_name(upload.asset, upload.offset)
                name = storage().save(name, MovableFile(file, temporary.name))
            except OSError as error:
                raise storage_failed(error) from None
        _move(upload, size, name)
        if size < most:
            return


def _copy(read: Callable[[int], bytes], file: BinaryIO, most: int, checksum: Checksum | None) -> int:
    digest = hashlib.new(checksum.algorithm, usedforsecurity=False) if checksum else None
    size = 0
    while size < most:
        try:
            piece = read(min(_PIECE, most - size))
        except OSError:
            # The connection is gone; what came is as good as before.
            break
        if not piece:
            break
        try:
            file.write(piece)
        except OSError as error:
            raise storage_failed(error) from None
        size += len(piece)
        if digest:
            digest.update(piece)
    if size and checksum and digest and not hmac.compare_digest(digest.digest(), checksum.digest):
        raise ApiError(
            "invalid_request", "The checksum is not that of the body.", "Send the same bytes again.", status=460
        )
    return size


def _move(upload: PartialUpload, size: int, name: str) -> None:
    """The offset follows what is stored; both or neither."""
    offset = upload.offset + size
    is_mine = PartialUpload.objects.filter(pk=upload.pk, offset=upload.offset, asset__state=State.PARTIAL)
    with transaction.atomic(durable=True):
        if won := is_mine.update(offset=offset, expires_at=_expiry()):
            UploadPart.objects.create(upload=upload, offset=upload.offset, storage_name=name)
            if offset == upload.length:
                Asset.objects.filter(pk=upload.pk).update(state=State.PENDING, next_at=timezone.now())
    if not won:
        delete(name)
        raise moved()
    upload.offset = offset


def moved() -> ApiError:
    """The answer to a body that does not begin where the file ends."""
    return ApiError("conflict", "The file is at another offset.", "Ask for the offset with HEAD, and go on from there.")


def _expiry() -> datetime:
    return timezone.now() + timedelta(hours=settings.RESUMABLE_HOURS)
