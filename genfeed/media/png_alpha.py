"""Masks that mark by transparency, made into masks that mark by brightness as well: read and written without a library.

Only the alpha of a PNG is read: the filters of its lines work on each channel by itself.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from itertools import accumulate

_START = b"\x89PNG\r\n\x1a\n"
# Of the kinds of PNG that have an alpha: how many channels a point has.
_CHANNELS = {4: 2, 6: 4}
MOST_PIXELS = 16_777_216
# Each line takes some memory by itself, however short it is.
LONGEST_SIDE = 16_384
# Fully transparent becomes white, whatever else black; the alpha stays as it marked.
_TO_GREY = bytes([255, *([0] * 255)])
_TO_ALPHA = bytes([0, *([255] * 255)])


class UnreadableMaskError(ValueError):
    """A PNG with transparency that can't be read here; the message says why."""


def has_alpha(data: bytes) -> bool:
    """Whether a file is a PNG with a channel for transparency."""
    return data.startswith(_START) and len(data) > 33 and data[25] in _CHANNELS


def marked_by_brightness(data: bytes) -> bytes:
    """The PNG mask with its transparent points white and all others black; their alpha goes on marking the same.

    Raises UnreadableMaskError for a file that is broken, or one of the kinds that hardly anybody writes.
    """
    width, height, depth, colours, _, _, interlace = struct.unpack(">IIBBBBB", data[16:29])
    is_small = 0 < width * height <= MOST_PIXELS and max(width, height) <= LONGEST_SIDE
    if depth != 8 or interlace or not is_small:
        raise UnreadableMaskError(
            f"it must have 8 bits a channel, no interlacing, 16 megapixels and sides of {LONGEST_SIDE} pixels at most"
        )
    channels = _CHANNELS[colours]
    stride = width * channels + 1
    unpacker = zlib.decompressobj()
    try:
        raw = unpacker.decompress(b"".join(_parts(data, b"IDAT")), stride * height)
    except (zlib.error, struct.error) as error:
        raise UnreadableMaskError("it is broken") from error
    if len(raw) < stride * height:
        raise UnreadableMaskError("it ends too early")
    lines, above = [], bytes(width)
    for start in range(0, stride * height, stride):
        above = _line(raw[start], raw[start + channels : start + stride : channels], above)
        both = bytearray(2 * width)
        both[::2], both[1::2] = above.translate(_TO_GREY), above.translate(_TO_ALPHA)
        lines.append(b"\0" + bytes(both))
    head = struct.pack(">IIBBBBB", width, height, 8, 4, 0, 0, 0)
    body = zlib.compress(b"".join(lines), 6)
    return _START + _part(b"IHDR", head) + _part(b"IDAT", body) + _part(b"IEND", b"")


def _line(kind: int, line: bytes, above: bytes) -> bytes:
    """One channel of a line, without its filter."""
    if kind == 0:
        return line
    if kind == 1:
        return bytes(value & 255 for value in accumulate(line))
    if kind == 2:
        return bytes((one + other) & 255 for one, other in zip(line, above, strict=True))
    if kind not in (3, 4):
        raise UnreadableMaskError("it is broken")
    made, left, corner = bytearray(), 0, 0
    for value, over in zip(line, above, strict=True):
        left = (value + ((left + over) >> 1 if kind == 3 else _paeth(left, over, corner))) & 255
        corner = over
        made.append(left)
    return bytes(made)


def _paeth(left: int, over: int, corner: int) -> int:
    guess = left + over - corner
    off_left, off_over, off_corner = abs(guess - left), abs(guess - over), abs(guess - corner)
    if off_left <= off_over and off_left <= off_corner:
        return left
    return over if off_over <= off_corner else corner


def _parts(data: bytes, wanted: bytes) -> Iterator[bytes]:
    at = len(_START)
    while at + 8 <= len(data):
        size, kind = struct.unpack(">I4s", data[at : at + 8])
        if kind == wanted:
            yield data[at + 8 : at + 8 + size]
        at += 12 + size


def _part(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
