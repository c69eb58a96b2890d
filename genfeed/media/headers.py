"""Size, length and frame rate of a media file from its header, whatever its name or type claims."""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass
from fractions import Fraction
from typing import BinaryIO, cast

import imagesize
from tinytag import TinyTag, TinyTagException

from genfeed.media import mp4


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
    file.seek(0)
    if (file.read(16) or b"").lstrip().startswith(b"<"):
        # SVG has no pixels of its own, and reading it means to parse a stranger's XML.
        raise UnreadableMediaError("not an image of pixels")
    file.seek(0)
    try:
        info = imagesize.get_info(file, dpi=False, colors=False, channels=False)
    except (ValueError, LookupError, struct.error, EOFError, TypeError, ArithmeticError):
        raise UnreadableMediaError("not an image that can be read") from None
    if info.width <= 0 or info.height <= 0:
        raise UnreadableMediaError("not an image that can be read")
    return MediaFacts(width=int(info.width), height=int(info.height))


def read_audio(file: io.RawIOBase | BinaryIO) -> MediaFacts:
    """The length of an audio file, or of the sound of an MP4 file. Raises UnreadableMediaError."""
    if mp4.is_mp4(file):
        return _of_mp4(file)
    file.seek(0)
    try:
        tag = TinyTag.get(file_obj=cast(BinaryIO, file), tags=False, duration=True)
    except (TinyTagException, ValueError, ArithmeticError, LookupError, EOFError, TypeError):
        raise UnreadableMediaError("not an audio file that can be read") from None
    if not tag.duration or tag.duration < 0:
        raise UnreadableMediaError("the audio file does not say how long it is")
    return MediaFacts(seconds=Fraction(str(tag.duration)))


def read_video(file: io.RawIOBase | BinaryIO) -> MediaFacts:
    """Size, length, frames and frame rate of an MP4 or QuickTime file. Raises UnreadableMediaError."""
    if not mp4.is_mp4(file):
        raise UnreadableMediaError("not an MP4 or QuickTime file")
    return _of_mp4(file)


def _of_mp4(file: io.RawIOBase | BinaryIO) -> MediaFacts:
    try:
        movie = mp4.read_movie(file)
    except mp4.BadMovieError as error:
        raise UnreadableMediaError(str(error)) from None
    fps = Fraction(movie.frames) / movie.video_seconds if movie.frames and movie.video_seconds else None
    return MediaFacts(movie.width, movie.height, movie.seconds, movie.frames, fps)
