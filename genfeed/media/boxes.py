"""The boxes that files of MP4, AVIF and HEIC are made of (ISO/IEC 14496-12): found without reading what is between."""

from __future__ import annotations

from collections.abc import Iterator

from genfeed.media.frugal import File

MOST_BOXES = 5_000


class BadBoxError(ValueError):
    """A box that can't be read; the message says why, as an end of “the header of the video …”."""


def find_box(file: File, wanted: bytes, *, largest: int) -> bytes | None:
    """The content of the first box of a kind at the top of a file; None where there is none.

    Raises BadBoxError for one of more than `largest` bytes, and for one that is cut off.
    """
    position = 0
    for _ in range(MOST_BOXES):
        file.seek(position)
        head = file.read(16) or b""
        if len(head) < 8:
            break
        size, kind, skip = int.from_bytes(head[:4]), head[4:8], 8
        if size == 1 and len(head) == 16:
            size, skip = int.from_bytes(head[8:16]), 16
        if kind == wanted:
            if not skip < size <= largest:
                raise BadBoxError("is too large")
            file.seek(position + skip)
            body = file.read(size - skip) or b""
            if len(body) < size - skip:
                raise BadBoxError("is cut off")
            return body
        if size < skip:
            break
        position += size
    return None


def boxes_in(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The boxes in a box: kind and content. Ends where they stop making sense."""
    position = 0
    for _ in range(MOST_BOXES):
        if position + 8 > len(data):
            return
        size, kind, skip = int.from_bytes(data[position : position + 4]), data[position + 4 : position + 8], 8
        if size == 1:
            size, skip = int.from_bytes(data[position + 8 : position + 16]), 16
        if size < skip or position + size > len(data):
            return
        yield kind, data[position + skip : position + size]
        position += size
