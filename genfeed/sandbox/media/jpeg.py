"""JPEG pictures (baseline, ITU T.81) of any size: blocks without detail, so only their mean colour is coded."""

import struct

from genfeed.sandbox.media.bits import BitWriter
from genfeed.sandbox.media.pictures import BANDS, Colour

# The tables of annex K.3 for the means: how many codes have each length, and the categories in order.
DC_LENGTHS = (0, 1, 5, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0)
DC_CATEGORIES = tuple(range(12))
DC_CODES = ("00", "010", "011", "100", "101", "110", "1110", "11110", "111110", "1111110", "11111110", "111111110")
END_OF_BLOCK = "0"


def jpeg(width: int, height: int, first: Colour, second: Colour, *, comment: str = "") -> bytes:
    """A JPEG with bands of two colours. Sizes beyond 65,535 are cut."""
    width, height = min(width, 65535), min(height, 65535)
    note = comment.encode("latin-1", "replace")
    frame = struct.pack(">BHHB", 8, height, width, 3) + b"".join(bytes((one, 0x11, 0)) for one in (1, 2, 3))
    # The table of details holds a single code, "0": nothing follows in this block.
    details = b"\x10" + bytes((1, *(0 for _ in range(15)))) + b"\x00"
    head = [
        b"\xff\xd8",
        _segment(0xE0, b"JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00"),
        _segment(0xFE, note),
        _segment(0xDB, b"\x00" + b"\x08" * 64),
        _segment(0xC0, frame),
        _segment(0xC4, b"\x00" + bytes(DC_LENGTHS) + bytes(DC_CATEGORIES) + details),
        _segment(0xDA, b"\x03\x01\x00\x02\x00\x03\x00\x00\x3f\x00"),
    ]
    return b"".join(head) + _scan(-(-width // 8), -(-height // 8), first, second) + b"\xff\xd9"


def _segment(marker: int, body: bytes) -> bytes:
    return b"\xff" + bytes([marker]) + struct.pack(">H", len(body) + 2) + body


def _scan(columns: int, rows: int, first: Colour, second: Colour) -> bytes:
    """The blocks: each codes by how much its mean differs from the block before it."""
    bits = BitWriter()
    same = (DC_CODES[0] + END_OF_BLOCK) * 3
    before = (0, 0, 0)
    for row in range(rows):
        means = _means(second if row * BANDS // rows % 2 else first)
        for mean, last in zip(means, before, strict=True):
            bits.put(_difference(mean - last) + END_OF_BLOCK)
        bits.put(same * (columns - 1))
        before = means
    return bits.to_bytes(fill="1").replace(b"\xff", b"\xff\x00")


def _means(colour: Colour) -> tuple[int, int, int]:
    """A colour as the quantised means of its Y, Cb and Cr blocks: 8 times the value, in steps of 8."""
    red, green, blue = colour
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    return round(luma - 128), round((blue - luma) * 0.564), round((red - luma) * 0.713)


def _difference(value: int) -> str:
    category = abs(value).bit_length()
    if category == 0:
        return DC_CODES[0]
    shown = value if value > 0 else value + (1 << category) - 1
    return DC_CODES[category] + format(shown, f"0{category}b")
