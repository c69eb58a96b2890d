"""How long a film or sound is that somebody uploaded: WAV and MP4, the rest is not understood."""

import struct

RIFF_HEAD = 12
MOVIE_HEAD = b"mvhd"


def seconds_of(content: bytes) -> float | None:
    """The length in seconds, None where the file does not tell it."""
    try:
        if content[:4] == b"RIFF" and content[8:12] == b"WAVE":
            return _wave_seconds(content)
        if content[4:8] == b"ftyp":
            return _movie_seconds(content)
    except (struct.error, ZeroDivisionError):
        return None
    return None


def _wave_seconds(content: bytes) -> float | None:
    at, bytes_each_second = RIFF_HEAD, 0
    while at + 8 <= len(content):
        kind, size = struct.unpack_from("<4sI", content, at)
        if kind == b"fmt ":
            (bytes_each_second,) = struct.unpack_from("<I", content, at + 16)
        if kind == b"data":
            return float(min(size, len(content) - at - 8) / bytes_each_second)
        at += 8 + size + size % 2
    return None


def _movie_seconds(content: bytes) -> float | None:
    at = content.find(MOVIE_HEAD)
    if at < 0:
        return None
    version = content[at + 4]
    scale, length = struct.unpack_from(">IQ" if version == 1 else ">II", content, at + (24 if version == 1 else 16))
    return float(length / scale)
