"""The size of an AVIF or HEIC image: its `meta` box (ISO/IEC 23008-12), from which only four kinds of boxes are read.

The references of such a file to its own inside multiply, so that some kilobytes become gigabytes in a reader that
follows them. None are followed here.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from genfeed.media.frugal import File

LARGEST_META = 1024 * 1024
MOST_BOXES = 5_000


class BadHeifError(ValueError):
    """A file whose size can't be read; the message says why."""


def read_size(file: File) -> tuple[int, int]:
    """Width and height as shown, turned as the file says. Raises BadHeifError."""
    meta = _find_meta(file)
    # A full box: version and flags come first.
    boxes = dict(reversed(list(_boxes(meta[4:]))))
    primary = _primary(boxes.get(b"pitm", b""))
    parts = dict(reversed(list(_boxes(boxes.get(b"iprp", b"")))))
    properties = list(_boxes(parts.get(b"ipco", b"")))
    numbers = _of_item(parts.get(b"ipma", b""), primary)
    mine = [properties[number - 1] for number in numbers if 0 < number <= len(properties)] if numbers else properties
    sizes = [body for kind, body in mine if kind == b"ispe" and len(body) >= 12]
    if not sizes:
        raise BadHeifError("the image does not say how large it is")
    width, height = struct.unpack(">II", sizes[-1][4:12])
    turns = next((body[0] & 3 for kind, body in mine if kind == b"irot" and body), 0)
    return (height, width) if turns % 2 else (width, height)


def _find_meta(file: File) -> bytes:
    """Walks over the boxes of the file without reading them, until the one with what describes it comes."""
    position = 0
    for _ in range(MOST_BOXES):
        file.seek(position)
        head = file.read(16) or b""
        if len(head) < 8:
            break
        size, kind, skip = int.from_bytes(head[:4]), head[4:8], 8
        if size == 1 and len(head) == 16:
            size, skip = int.from_bytes(head[8:16]), 16
        if kind == b"meta":
            if not skip + 4 <= size <= LARGEST_META:
                raise BadHeifError("what describes the image is too large")
            file.seek(position + skip)
            body = file.read(size - skip) or b""
            if len(body) < size - skip:
                raise BadHeifError("the image is cut off")
            return body
        if size < skip:
            break
        position += size
    raise BadHeifError("the image has no header")


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The boxes in a box: kind and content. Ends where they stop making sense."""
    position = 0
    for _ in range(MOST_BOXES):
        size, kind = int.from_bytes(data[position : position + 4]), data[position + 4 : position + 8]
        if size < 8 or position + size > len(data):
            return
        yield kind, data[position + 8 : position + size]
        position += size


def _primary(body: bytes) -> int:
    """The number of the item that is the image itself, -1 where the file does not say."""
    if len(body) < 6:
        return -1
    return int.from_bytes(body[4:6] if body[0] == 0 else body[4:8])


def _of_item(body: bytes, item: int) -> list[int]:
    """The places of an item's properties, counted from 1; empty where the file does not say."""
    if len(body) < 8:
        return []
    id_size, is_wide = (2 if body[0] == 0 else 4), bool(body[3] & 1)
    at, width = 8, 2 if is_wide else 1
    for _ in range(min(int.from_bytes(body[4:8]), len(body))):
        end = at + id_size + 1
        if end > len(body):
            return []
        count = body[end - 1]
        if int.from_bytes(body[at : at + id_size]) == item:
            pairs = (body[place : place + width] for place in range(end, end + count * width, width))
            return [int.from_bytes(one) & (0x7FFF if is_wide else 0x7F) for one in pairs if len(one) == width]
        at = end + count * width
    return []
