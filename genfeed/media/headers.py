"""Size, length and frame rate of a media file from its header, whatever its name or type claims."""

from __future__ import annotations

import io
import re
import struct
from dataclasses import dataclass
from fractions import Fraction
from typing import BinaryIO, cast

import imagesize
from tinytag import TinyTag, TinyTagException

from genfeed.media import heif, mp4
from genfeed.media.frugal import FrugalFile, TooMuchError

# What PNG, the format with the largest sides, allows (and what a column holds).
LONGEST_SIDE = 2**31 - 1
# A stranger's decoder and a stranger's player stop far below.
LONGEST_SECONDS = Fraction(10**9)
_NUMBERS_AS_TEXT = re.compile(rb"P[1-7]")
_BROKEN = (ValueError, LookupError, struct.error, EOFError, TypeError, ArithmeticError, OSError)


class UnreadableMediaError(ValueError):
    """No header that we understand; the message says what was looked for."""


@dataclass(frozen=True)
class MediaFacts:
    """What a header says; None where it does not. Width and height in pixels as shown, fps in frames a second."""

    width: int | None = None
    height: int | None = None
    seconds: Fraction | None = None
    frames: int | None = None
    fps: Fraction | None = None


def read_image(file: io.RawIOBase | BinaryIO) -> MediaFacts:
    """Width and height of an image as shown (turned as its EXIF says). Raises UnreadableMediaError."""
    frugal = FrugalFile(file)
    try:
        width, height = _size(frugal)
    except UnreadableMediaError:
        raise
    except _BROKEN:
        raise UnreadableMediaError("not an image that can be read") from None
    if not (0 < width <= LONGEST_SIDE and 0 < height <= LONGEST_SIDE):
        raise UnreadableMediaError("not an image that can be read")
    return MediaFacts(width=int(width), height=int(height))


def _size(file: FrugalFile) -> tuple[int, int]:
    file.seek(0)
    head = file.read(64)
    if head.lstrip().startswith(b"<"):
        # SVG has no pixels of its own, and reading it means to parse a stranger's XML.
        raise UnreadableMediaError("not an image of pixels")
    if _NUMBERS_AS_TEXT.match(head):
        # Its sides are texts of any length.
        raise UnreadableMediaError("not an image that can be read")
    if head[4:8] == b"ftyp":
        return heif.read_size(file)
    file.seek(0)
    info = imagesize.get_info(file, dpi=False, colors=False, channels=False)
    return info.width, info.height


def read_audio(file: io.RawIOBase | BinaryIO) -> MediaFacts:
    """The length of an audio file, or of the sound of an MP4 file. Raises UnreadableMediaError."""
    frugal = FrugalFile(file)
    if mp4.is_mp4(frugal):
        return _of_mp4(frugal)
    frugal.seek(0)
    try:
        tag = TinyTag.get(file_obj=cast(BinaryIO, frugal), tags=False, duration=True)
    except (TinyTagException, *_BROKEN):
        raise UnreadableMediaError("not an audio file that can be read") from None
    if not tag.duration or not 0 < tag.duration <= LONGEST_SECONDS:
        raise UnreadableMediaError("the audio file does not say how long it is")
    return MediaFacts(seconds=Fraction(str(tag.duration)))


def read_video(file: io.RawIOBase | BinaryIO) -> MediaFacts:
    """Size, length, frames and frame rate of an MP4 or QuickTime file. Raises UnreadableMediaError."""
    frugal = FrugalFile(file)
    if not mp4.is_mp4(frugal):
        raise UnreadableMediaError("not an MP4 or QuickTime file")
    return _of_mp4(frugal)


def _of_mp4(file: FrugalFile) -> MediaFacts:
    try:
        movie = mp4.read_movie(file)
    except (mp4.BadMovieError, TooMuchError) as error:
        raise UnreadableMediaError(str(error)) from None
    if movie.seconds and movie.seconds > LONGEST_SECONDS:
        raise UnreadableMediaError("the video says that it never ends")
    fps = Fraction(movie.frames) / movie.video_seconds if movie.frames and movie.video_seconds else None
    return MediaFacts(movie.width, movie.height, movie.seconds, movie.frames, fps)
