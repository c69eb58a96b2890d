"""The `moov` box of an MP4 or QuickTime file (ISO/IEC 14496-12): length, size and frames of its video track.

No library reads this from Python alone; those that do bring a decoder in C, which would then meet every file that a
stranger names, and follow the references inside it. This reads five kinds of boxes and skips all others.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace
from fractions import Fraction

from genfeed.media.boxes import BadBoxError, boxes_in, find_box
from genfeed.media.frugal import File

LARGEST_MOOV = 8 * 1024 * 1024
_CONTAINERS = (b"trak", b"mdia", b"minf", b"stbl")
# One in another is all that any file has of these.
_DEEPEST = len(_CONTAINERS)
_UNKNOWN = (0, 0xFFFFFFFF, 0xFFFFFFFFFFFFFFFF)


class BadMovieError(ValueError):
    """A file whose header can't be read; the message says why."""


@dataclass(frozen=True)
class Movie:
    """What the header says; `frames` and `video_seconds` are the video track's own."""

    seconds: Fraction | None = None
    width: int | None = None
    height: int | None = None
    frames: int | None = None
    video_seconds: Fraction | None = None


@dataclass(frozen=True)
class _Track:
    handler: bytes = b""
    seconds: Fraction | None = None
    width: int | None = None
    height: int | None = None
    samples: int | None = None


def is_mp4(file: File) -> bool:
    """Whether the file begins as an MP4 or QuickTime file does; leaves the position at the start."""
    file.seek(0)
    head = file.read(12) or b""
    file.seek(0)
    return head[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip") and len(head) == 12


def read_movie(file: File) -> Movie:
    """Read the header, wherever in the file it stands. Raises BadMovieError."""
    moov = _find_moov(file)
    movie, tracks = Movie(), []
    for kind, body in boxes_in(moov):
        if kind == b"mvhd":
            movie = replace(movie, seconds=_length(body))
        elif kind == b"trak":
            tracks.append(_read_track(body))
    video = next((track for track in tracks if track.handler == b"vide"), None)
    seconds = movie.seconds or max((track.seconds for track in tracks if track.seconds), default=None)
    if video is None:
        return replace(movie, seconds=seconds)
    return Movie(seconds, video.width, video.height, video.samples, video.seconds)


def _find_moov(file: File) -> bytes:
    """The header of the video, wherever in the file it is."""
    try:
        body = find_box(file, b"moov", largest=LARGEST_MOOV)
    except BadBoxError as error:
        raise BadMovieError(f"the header of the video {error}") from None
    if body is None:
        raise BadMovieError("the video has no header")
    return body


def _read_track(data: bytes, track: _Track | None = None, depth: int = 1) -> _Track:
    track = track or _Track()
    for kind, body in boxes_in(data):
        if kind in _CONTAINERS:
            if depth < _DEEPEST:
                track = _read_track(body, track, depth + 1)
        elif kind == b"hdlr" and len(body) >= 12 and not track.handler:
            track = replace(track, handler=body[8:12])
        elif kind == b"mdhd":
            track = replace(track, seconds=_length(body))
        elif kind == b"tkhd":
            width, height = _shown_size(body)
            track = replace(track, width=width, height=height)
        elif kind == b"stts":
            track = replace(track, samples=_samples(body))
    return track


def _length(body: bytes) -> Fraction | None:
    """Duration ÷ timescale of `mvhd` and `mdhd`; None where the header does not know it (streams)."""
    try:
        if body[0] == 1:
            scale, duration = struct.unpack_from(">IQ", body, 20)
        else:
            scale, duration = struct.unpack_from(">II", body, 12)
    except (struct.error, IndexError):
        return None
    return Fraction(duration, scale) if scale and duration not in _UNKNOWN else None


def _shown_size(body: bytes) -> tuple[int | None, int | None]:
    """Width and height as shown: 16.16 fixed point at the end of `tkhd`, exchanged where it is turned by 90°."""
    if len(body) < 44:
        return None, None
    width, height = (value >> 16 for value in struct.unpack(">II", body[-8:]))
    across, aside = struct.unpack(">ii", body[-44:-36])
    if across == 0 and aside != 0:
        width, height = height, width
    return width or None, height or None


def _samples(body: bytes) -> int | None:
    """The number of frames: the sum over the runs of `stts`."""
    if len(body) < 8:
        return None
    runs = int.from_bytes(body[4:8])
    if len(body) < 8 + 8 * runs:
        return None
    return sum(count for count, _ in struct.iter_unpack(">II", body[8 : 8 + 8 * runs])) or None
