"""From what a file should be to its bytes. The same wish gives the same bytes, so files need not be kept."""

import colorsys
from dataclasses import dataclass, replace
from functools import lru_cache
from zlib import crc32

from genfeed.sandbox.media import packets, solids, sounds
from genfeed.sandbox.media.films import mp4
from genfeed.sandbox.media.jpeg import jpeg
from genfeed.sandbox.media.pictures import Colour, gif, png, svg, webp

TYPES = {
    "png": "image/png",
    "jpeg": "image/jpeg",
    "jpg": "image/jpeg",
    "webp": "image/webp",
    "gif": "image/gif",
    "svg": "image/svg+xml",
    "mp4": "video/mp4",
    "wav": "audio/wav",
    "mp3": "audio/mpeg",
    "glb": "model/gltf-binary",
    "obj": "text/plain",
    "ply": "application/octet-stream",
    "stl": "model/stl",
    "zip": "application/zip",
    "safetensors": "application/octet-stream",
    "json": "application/json",
    "txt": "text/plain",
}
# A picture of 16 thousand by 16 thousand points would take the server a second to draw.
LARGEST_SIDE = 8192
LONGEST_SECONDS = 1200.0
BLACK = (0, 0, 0)


@dataclass(frozen=True, slots=True)
class Wish:
    """A file: its kind is a key of TYPES; `seed` (any text) decides colour and pitch and is written into the file."""

    kind: str
    seed: str
    width: int = 1024
    height: int = 1024
    seconds: float = 5.0
    fps: int = 24
    is_dark: bool = False

    @property
    def content_type(self) -> str:
        """The media type."""
        return TYPES[self.kind]

    @property
    def frames(self) -> int:
        """How many frames a film has."""
        return max(1, round(self.seconds * self.fps))

    def darkened(self) -> "Wish":
        """The same, but black all over."""
        return replace(self, is_dark=True)


@lru_cache(maxsize=64)
def make(wish: Wish) -> bytes:
    """The bytes of a file."""
    first, second = (BLACK, BLACK) if wish.is_dark else _colours(wish.seed)
    width = max(1, min(wish.width, LARGEST_SIDE))
    height = max(1, min(wish.height, LARGEST_SIDE))
    seconds = min(wish.seconds, LONGEST_SECONDS)
    if wish.kind in PICTURES:
        return PICTURES[wish.kind](width, height, first, second, comment=wish.seed)
    if wish.kind == "mp4":
        return mp4(width, height, max(1, round(seconds * wish.fps)), wish.fps, first, comment=wish.seed)
    if wish.kind == "wav":
        return sounds.wav(seconds, pitch=220 + crc32(wish.seed.encode()) % 440, comment=wish.seed)
    if wish.kind == "mp3":
        return sounds.mp3(seconds, comment=wish.seed)
    if wish.kind == "zip":
        return packets.zip_of_pictures(first, second, comment=wish.seed)
    return PLAIN[wish.kind](comment=wish.seed)


PICTURES = {"png": png, "jpeg": jpeg, "jpg": jpeg, "webp": webp, "gif": gif, "svg": svg}
PLAIN = {
    "glb": solids.glb,
    "obj": solids.obj,
    "ply": solids.ply,
    "stl": solids.stl,
    "safetensors": packets.safetensors,
    "json": packets.json_text,
    "txt": packets.plain_text,
}


def _colours(seed: str) -> tuple[Colour, Colour]:
    hue = crc32(seed.encode()) % 3600 / 3600
    return _colour(hue, 0.45), _colour((hue + 0.08) % 1, 0.65)


def _colour(hue: float, light: float) -> Colour:
    red, green, blue = colorsys.hls_to_rgb(hue, light, 0.5)
    return round(red * 255), round(green * 255), round(blue * 255)
