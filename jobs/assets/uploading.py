"""Files that clients bring: checked, stored and read once, private to the client."""

from __future__ import annotations

import errno
import hashlib
import logging
from collections.abc import Iterable
from typing import Any, BinaryIO, cast
from urllib.parse import unquote, urlsplit

from django.conf import settings
from django.core.files.base import File
from django.core.files.uploadedfile import UploadedFile
from django.db import transaction
from django.utils import timezone

from genfeed.clients.errors import ApiError
from genfeed.media.sniffing import UNKNOWN, extension_of
from genfeed.net.addresses import RefusedAddressError, read_address
from jobs.assets.fetching import facts_columns
from jobs.assets.finding import safe_name
from jobs.assets.models import Asset
from jobs.assets.reading import read_file
from jobs.assets.scanning import CLEAN, ScanError, is_on, scan
from jobs.assets.storage import delete, name_for, storage, tell_trouble, trouble_is_over
from jobs.ids import new_id

logger = logging.getLogger(__name__)

# Files of a client that wait to be fetched from the addresses that it gave.
MOST_COMING = 100


def store_upload(file: UploadedFile, client_id: int, *, asset_id: str = "") -> Asset:
    """Stores a file that was sent; raises ApiError for one that is too large, empty, of no use, or found bad.

    `asset_id` where its address was given out before it came; raises IntegrityError where it came already.
    """
    if (file.size or 0) > settings.UPLOAD_MAX_BYTES:
        raise too_large()
    if not file.size:
        raise ApiError("invalid_request", "The file is empty.", "Send its content.")
    raw = cast(BinaryIO, file)
    read = read_file(raw, safe_name(file.name or "file"))
    if read.content_type in ("text/html", UNKNOWN):
        raise ApiError(
            "unsupported_media",
            f"The file is {read.content_type} by its bytes.",
            "Send images, videos, sounds, 3D files, archives or plain texts.",
        )
    try:
        finding = scan(raw, name=read.name, content_type=read.content_type)
    except ScanError:
        raise ApiError(
            "provider_unavailable", "The file can't be scanned just now.", "Try again in a minute.", retry_after=60
        ) from None
    if finding:
        raise ApiError("content_refused", f"The scanner found {finding}.", "Send another file.")
    now = timezone.now()
    asset = Asset(
        id=asset_id or new_id("ast"),
        client_id=client_id,
        origin=Asset.Origin.UPLOAD,
        state=Asset.State.STORED,
        kind=read.kind,
        name=read.name[-120:],
        content_type=read.content_type,
        size=file.size,
        scan_result=CLEAN if is_on() else "",
        sha256=_digest(file),
        created_at=now,
        stored_at=now,
        **facts_columns(read.facts),
    )
    file.seek(0)
    # Django's own class: one that lies on the disk already is moved, not copied.
    content: Any = file if hasattr(file, "temporary_file_path") else File(raw)
    try:
        asset.storage_name = storage().save(name_for(asset, extension_of(read.content_type)), content)
    except OSError as error:
        raise storage_failed(error) from None
    try:
        with transaction.atomic():
            asset.save(force_insert=True)
    except Exception:
        delete(asset.storage_name)
        raise
    trouble_is_over()
    return asset


def take_back(assets: Iterable[Asset]) -> None:
    """Forgets files that were just stored for a request which was refused; nobody was told of them."""
    for asset in assets:
        asset.delete()
        try:
            delete(asset.storage_name)
        except OSError:
            logger.exception("the file of asset %s could not be deleted", asset.pk)


def fetch_upload(url: str, client_id: int) -> Asset:
    """A file to be fetched from an address, by the dispatchers; raises ApiError for an address that never will be,
    and where MOST_COMING of the client's are still to be fetched."""
    try:
        address = read_address(url, settings.SSRF_ALLOW)
    except RefusedAddressError as error:
        raise ApiError(
            "invalid_request", f"url: {error}.", "Send the http or https address of a public file."
        ) from None
    coming = Asset.objects.filter(client_id=client_id, state=Asset.State.PENDING, job=None).count()
    if coming >= MOST_COMING:
        raise ApiError(
            "too_many_in_flight",
            f"{coming} files of yours are still to be fetched.",
            "Name the next ones when those are here, or send the files themselves.",
            retry_after=30,
        )
    return Asset.objects.create(
        id=new_id("ast"),
        client_id=client_id,
        origin=Asset.Origin.UPLOAD,
        kind="other",
        name=safe_name(unquote(urlsplit(address.target).path)),
        source_url=url,
    )


def too_large() -> ApiError:
    """The answer to a file beyond the cap."""
    return ApiError(
        "payload_too_large",
        f"A file may have {settings.UPLOAD_MAX_BYTES} bytes.",
        "Send a smaller one; a model may take a web address of a larger one.",
    )


def storage_failed(error: OSError) -> ApiError:
    """The answer where a file can't be written: nothing was kept of it."""
    logger.error("a file could not be stored: %s", error)
    tell_trouble(error.strerror or type(error).__name__)
    return ApiError(
        "internal_error",
        "The file can't be stored just now.",
        "Try again later; if it stays, tell the operator the requestId.",
        status=507 if error.errno in (errno.ENOSPC, errno.EDQUOT) else None,
    )


def _digest(file: UploadedFile) -> str:
    digest = hashlib.sha256()
    file.seek(0)
    for chunk in file.chunks():
        digest.update(chunk)
    return digest.hexdigest()
