"""The size of an AVIF or HEIC image: its `meta` box (ISO/IEC 23008-12), from which only four kinds of boxes are read.

The references of such a file to its own inside multiply, so that some kilobytes become gigabytes in a reader that
follows them. None are followed here.
"""

from __future__ import annotations

import struct

from genfeed.media.boxes import BadBoxError, boxes_in, find_box
from genfeed.media.frugal import File

LARGEST_META = 1024 * 1024


class BadHeifError(ValueError):
    """A file whose size can't be read; the message says why."""


def read_size(file: File) -> tuple[int, int]:
    """Width and height as shown, turned as the file says. Raises BadHeifError."""
    meta = _find_meta(file)
    boxes = dict(reversed(list(boxes_in(meta))))
    primary = _primary(boxes.get(b"pitm", b""))
    parts = dict(reversed(list(boxes_in(boxes.get(b"iprp", b"")))))
    properties = list(boxes_in(parts.get(b"ipco", b"")))
    numbers = _of_item(parts.get(b"ipma", b""), primary)
    mine = [properties[number - 1] for number in numbers if 0 < number <= len(properties)] if numbers else properties
    sizes = [body for kind, body in mine if kind == b"ispe" and len(body) >= 12]
    if not sizes:
        raise BadHeifError("the image does not say how large it is")
    width, height = struct.unpack(">II", sizes[-1][4:12])
    turns = next((body[0] & 3 for kind, body in mine if kind == b"irot" and body), 0)
    return (height, width) if turns % 2 else (width, height)


def _find_meta(file: File) -> bytes:
    """What describes the image: a full box, whose version and flags come first."""
    try:
        body = find_box(file, b"meta", largest=LARGEST_META)
    except BadBoxError as error:
        raise BadHeifError(f"what describes the image {error}") from None
    if body is None:
        raise BadHeifError("the image has no header")
    return body[4:]


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
