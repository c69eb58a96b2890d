"""PNG, GIF, WebP and SVG pictures of any size: two colours in bands, a few hundred bytes to a few kilobytes."""

import struct
import zlib

Colour = tuple[int, int, int]
BANDS = 8


def png(width: int, height: int, first: Colour, second: Colour, *, comment: str = "") -> bytes:
    """A PNG with a palette of two colours and one bit a pixel."""
    line = -(-width // 8)
    rows = b"".join(b"\x00" + (b"\xff" if _is_second(row, height) else b"\x00") * line for row in range(height))
    chunks = [
        _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 1, 3, 0, 0, 0)),
        _chunk(b"PLTE", bytes(first + second)),
        _chunk(b"tEXt", b"Comment\x00" + comment.encode("latin-1", "replace")),
        _chunk(b"IDAT", zlib.compress(rows, 1)),
        _chunk(b"IEND", b""),
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def _is_second(row: int, height: int) -> bool:
    return row * BANDS // height % 2 == 1


def gif(width: int, height: int, first: Colour, second: Colour, *, comment: str = "") -> bytes:
    """A GIF of two colours. Nothing is compressed: a clear code before every point keeps the codes three bits wide."""
    width, height = min(width, 65535), min(height, 65535)
    note = comment.encode("latin-1", "replace")[:255]
    head = b"GIF89a" + struct.pack("<HHBBB", width, height, 0x80, 0, 0) + bytes(first + second)
    head += b"\x21\xfe" + (bytes([len(note)]) + note if note else b"") + b"\x00"
    head += b"\x2c" + struct.pack("<HHHHB", 0, 0, width, height, 0) + b"\x02"
    # Codes 0 and 1 are the colours, 4 clears, 5 ends. The first bit is the lowest, so the text is written backwards.
    points = ("001100" if _is_second(row, height) else "000100" for row in reversed(range(height)))
    bits = "101" + "".join(point * width for point in points)
    out = int(bits, 2).to_bytes(-(-len(bits) // 8), "little")
    blocks = b"".join(bytes([len(piece := out[at : at + 255])]) + piece for at in range(0, len(out), 255))
    return head + blocks + b"\x00\x3b"


def webp(width: int, height: int, first: Colour, second: Colour, *, comment: str = "") -> bytes:
    """A lossless WebP (VP8L). Green tells the two bands apart with one bit a pixel, all else is one symbol for all."""
    width, height = min(width, 16384), min(height, 16384)
    value, length = 0, 0

    def put(number: int, bits: int) -> None:
        nonlocal value, length
        value |= number << length
        length += bits

    put(width - 1, 14)
    put(height - 1, 14)
    put(0, 1 + 3)  # no alpha, version 0
    put(0, 1 + 1 + 1)  # no transform, no colour cache, one set of codes for the whole picture
    green = sorted({first[1], second[1]})
    put(1, 1)
    put(len(green) - 1, 1)
    put(1, 1)  # the first symbol has eight bits
    for symbol in green:
        put(symbol, 8)
    for symbol in (first[0], first[2], 255, 0):  # red, blue, alpha, distance
        put(1, 1)
        put(0, 1)
        put(1, 1)
        put(symbol, 8)
    if len(green) == 2:
        rows = [green.index((second if _is_second(row, height) else first)[1]) for row in range(height)]
        pixels = "".join(("1" if row else "0") * width for row in reversed(rows))
        value |= int(pixels, 2) << length
        length += width * height
    stream = b"\x2f" + value.to_bytes(-(-length // 8), "little")
    note = b"<x>" + comment.encode("ascii", "replace") + b"</x>"
    # The extended header announces the comment, which stands behind the picture.
    extended = struct.pack("<I", 0x04) + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    body = b"WEBP" + _riff(b"VP8X", extended) + _riff(b"VP8L", stream) + _riff(b"XMP ", note)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def _riff(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("<I", len(body)) + body + b"\x00" * (len(body) % 2)


def svg(width: int, height: int, first: Colour, second: Colour, *, comment: str = "") -> bytes:
    """An SVG with two rectangles."""
    ink, paper = ("rgb({},{},{})".format(*colour) for colour in (first, second))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}">'
        f'<desc>{comment}</desc><rect width="{width}" height="{height}" fill="{paper}"/>'
        f'<rect width="{width}" height="{height // 2}" fill="{ink}"/></svg>'
    ).encode()
