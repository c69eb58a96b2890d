"""Masks: what is transparent becomes white, whatever filters the file was written with."""

import struct
import zlib
from itertools import pairwise

import pytest

from genfeed.media.png_alpha import UnreadableMaskError, has_alpha, marked_by_brightness

ALPHA = [[0, 0, 255, 128], [0, 255, 255, 0], [9, 0, 0, 255]]


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def rgba(kind: int, *, depth: int = 8, rows: int | None = None) -> bytes:
    """A PNG with these alphas, each line written with one filter, as the specification says it is done."""
    points = [[v for x, alpha in enumerate(line) for v in (x * 40, y * 70, 200, alpha)] for y, line in enumerate(ALPHA)]
    lines = []
    for above, line in pairwise([[0] * 16, *points]):
        written = []
        for at, value in enumerate(line):
            a, b, c = (line[at - 4] if at > 3 else 0), above[at], (above[at - 4] if at > 3 else 0)
            nearest = min((a, b, c), key=lambda one, p=a + b - c: abs(one - p))
            written.append((value - (0, a, b, (a + b) // 2, nearest)[kind]) & 255)
        lines.append(bytes([kind, *written]))
    head = struct.pack(">IIBBBBB", 4, 3, depth, 6, 0, 0, 0)
    data = zlib.compress(b"".join(lines[:rows]))
    # In two parts, as large files are.
    body = chunk(b"IDAT", data[:9]) + chunk(b"IDAT", data[9:])
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + body + chunk(b"IEND", b"")


@pytest.mark.parametrize("kind", range(5))
def test_transparent_points_become_white_and_stay_transparent(kind: int) -> None:
    made = marked_by_brightness(rgba(kind))

    assert made[:33] == b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 4, 3, 8, 4, 0, 0, 0))
    size = struct.unpack(">I", made[33:37])[0]
    lines = zlib.decompress(made[41 : 41 + size])
    points = [list(lines[start + 1 : start + 9]) for start in range(0, 27, 9)]
    assert points == [[v for alpha in line for v in ((255, 0) if alpha == 0 else (0, 255))] for line in ALPHA]


@pytest.mark.parametrize("data", [rgba(0, depth=16), rgba(1, rows=2), rgba(0)[:60]])
def test_what_can_not_be_read_is_refused(data: bytes) -> None:
    with pytest.raises(UnreadableMaskError):
        marked_by_brightness(data)


def test_only_files_with_an_alpha_have_one() -> None:
    grey = chunk(b"IHDR", struct.pack(">IIBBBBB", 4, 3, 8, 0, 0, 0, 0))

    assert has_alpha(rgba(0))
    assert not has_alpha(b"\x89PNG\r\n\x1a\n" + grey)
    assert not has_alpha(b"\xff\xd8\xff")
