"""The parts of files that come in pieces: where they lie, and how they are thrown away."""

from __future__ import annotations

import base64
import logging
import secrets

from jobs.assets.models import Asset, PartialUpload, UploadPart
from jobs.assets.storage import storage

logger = logging.getLogger(__name__)


def new_name(asset: Asset, offset: int) -> str:
    """A name for a part. Two senders of the same bytes get two names, so that the loser deletes its own."""
    return f"{_folder(asset)}/{offset}-{secrets.token_hex(4)}"


def load(asset: Asset) -> None:
    """Tells an asset its parts, in their order; none where it did not come in parts."""
    upload = PartialUpload.objects.filter(pk=asset.pk).first()
    if upload is not None:
        parts = UploadPart.objects.filter(upload=upload).order_by("offset")
        asset.parts = list(parts.values_list("storage_name", flat=True))
        asset.announced = upload.length
        asset.told_sha256 = told(upload.metadata).get("sha256", "").lower()


def discard(asset: Asset) -> bool:
    """Deletes the parts of a file, also those that a killed process left unrecorded. False where the storage fails."""
    upload = PartialUpload.objects.filter(pk=asset.pk).first()
    if upload is None:
        return True
    try:
        _empty(_folder(asset))
    except OSError:
        logger.exception("the parts of %s could not be deleted", asset.pk)
        return False
    upload.delete()
    return True


def told(metadata: str) -> dict[str, str]:
    """The Upload-Metadata of the protocol: pairs of a key and a text in base64. Raises ValueError."""
    pairs = {}
    for pair in metadata.split(",") if metadata.strip() else ():
        key, _, value = pair.strip().partition(" ")
        pairs[key] = base64.b64decode(value, validate=True).decode()
    return pairs


def _folder(asset: Asset) -> str:
    return f"{asset.client_id}/parts/{asset.pk}"


def _empty(folder: str) -> None:
    try:
        _, names = storage().listdir(folder)
    except FileNotFoundError:
        return
    for name in names:
        storage().delete(f"{folder}/{name}")
    # A storage without folders has nothing of that name, and says nothing.
    storage().delete(folder)
