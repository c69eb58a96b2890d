"""Data URIs in inputs: they become uploads, so that no model refuses them and no row holds a file.

Some models take data URIs, others say "unsupported"; all take an address. So none is ever sent on.
"""

from __future__ import annotations

import base64
import binascii
import io
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from django.core.files.uploadedfile import SimpleUploadedFile

from genfeed.clients.errors import ApiError
from genfeed.media.headers import MediaFacts
from genfeed.media.sniffing import extension_of
from jobs.assets.models import Asset
from jobs.assets.reading import read_file
from jobs.assets.retention import remove_file
from jobs.assets.texts import replaced_texts, texts_in
from jobs.assets.uploading import store_upload

# In one request, or one item of a batch: each becomes a file, and ten megabytes have room for a hundred thousand.
MOST_FILES = 200
_DATA = re.compile(r"data:([\w.+-]+/[\w.+-]+)(?:;[\w.+-]+=[^;,\s]*)*;base64,", re.ASCII | re.IGNORECASE)


class UnreadableDataError(ValueError):
    """A data URI whose base64 can't be read."""


def is_data(text: str) -> bool:
    """Whether a text is a file in base64 with its type before it; a text that only begins with "data:" is none."""
    return _DATA.match(text) is not None


def facts_of_data(text: str) -> MediaFacts:
    """Size and length of the file in a data URI. Raises UnreadableDataError."""
    return read_file(io.BytesIO(_content(text)), "file").facts


@contextmanager
def kept(input: dict[str, Any], client_id: int) -> Iterator[dict[str, Any]]:
    """Uploads the data URIs of an input; yields the input with `asset:…` in their places.

    Where the block fails they are deleted again. Raises ApiError for a file that no upload may be.
    """
    named, stored = keep(input, client_id)
    try:
        yield named
    except BaseException:
        discard(stored)
        raise


def keep(input: dict[str, Any], client_id: int) -> tuple[dict[str, Any], list[Asset]]:
    """The input with its data URIs uploaded, each once, and the uploads; none is left where it raises ApiError."""
    stored: list[Asset] = []
    names = {}
    found = dict.fromkeys(text for text, _ in texts_in(input) if is_data(text))
    if len(found) > MOST_FILES:
        raise too_many(len(found), MOST_FILES)
    try:
        for text in found:
            told = text[len("data:") :].partition(";")[0].lower()
            file = SimpleUploadedFile(f"inline.{extension_of(told)}", _content(text))
            stored.append(store_upload(file, client_id))
            names[text] = f"asset:{stored[-1].pk}"
    except BaseException:
        discard(stored)
        raise
    return (replaced_texts(input, lambda text: names.get(text, text)) if names else input), stored


def too_many(count: int, most: int) -> ApiError:
    """The answer to a request that holds very many files."""
    return ApiError(
        "payload_too_large",
        f"The request holds {count:,} files as data URIs, and {most} are the most.",
        "Upload files at /api/v1/uploads, and name them by their ids.",
    )


def discard(stored: Iterable[Asset]) -> None:
    """Deletes uploads whose request was refused."""
    for asset in stored:
        remove_file(asset, problem="its request was refused")
        asset.delete()


def _content(text: str) -> bytes:
    try:
        return base64.b64decode(text.partition(",")[2], validate=True)
    except binascii.Error:
        raise UnreadableDataError("its base64 can't be read") from None
