"""Small files that claim to be enormous, or that a reader who follows them never comes back from."""

import struct
import zlib

from tests.media.files import box


def png(width: int, height: int) -> bytes:
    """A PNG of this size by its header alone."""
    head = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + head + struct.pack(">I", zlib.crc32(head))


def webp(width: int, height: int, *, frames: int = 0) -> bytes:
    """A WebP; animated where it has frames, each of the size of the whole."""
    size = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    body = b"VP8X" + struct.pack("<I", 10) + bytes([2 if frames else 0, 0, 0, 0]) + size
    body += (b"ANMF" + struct.pack("<I", 16) + bytes(6) + size + bytes(4)) * frames
    return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WEBP" + body


def gif(width: int, height: int, *, frames: int = 1) -> bytes:
    """A GIF whose frames are all of the size of the whole."""
    frame = b"\x2c" + struct.pack("<HHHHB", 0, 0, width, height, 0) + b"\x02\x02\x44\x01\x00"
    return b"GIF89a" + struct.pack("<HHBBB", width, height, 0, 0, 0) + frame * frames + b";"


def avif(width: int, height: int, *, turned: bool = False, inside: bytes = b"", before: bytes = b"") -> bytes:
    """An AVIF without its picture; `inside` are more boxes of its description, `before` stand before it."""
    ispe = box(b"ispe", bytes(4), struct.pack(">II", width, height))
    thumbnail = box(b"ispe", bytes(4), struct.pack(">II", 1, 1))
    ipco = box(b"ipco", thumbnail, ispe, box(b"irot", bytes([1 if turned else 0])))
    ipma = box(b"ipma", bytes(4), struct.pack(">I", 2), b"\0\x02\x01\x01" + b"\0\x01\x02\x82\x83")
    pitm = box(b"pitm", bytes(4), struct.pack(">H", 1))
    meta = box(b"meta", bytes(4), inside, pitm, box(b"iprp", ipco, ipma))
    return box(b"ftyp", b"avif\0\0\0\0mif1avif") + before + meta


def endless_extents(items: int) -> bytes:
    """A box that says of each of its items that it lies in 65,535 places, none of which takes a byte to name."""
    head = b"\x02\0\0\0" + b"\0\0" + struct.pack(">I", items)
    body = head + b"".join(struct.pack(">IHHH", number, 0, 0, 65_535) for number in range(items))
    return box(b"iinf", bytes(4), b"\0\0") + box(b"iloc", body)
