"""The files there are. Made ones are drawn when they are asked for; uploaded ones are kept, the oldest go first."""

import re
from collections import OrderedDict
from dataclasses import dataclass, field
from secrets import token_hex

from genfeed.sandbox.effects import Effects
from genfeed.sandbox.media.lengths import seconds_of
from genfeed.sandbox.media.making import Wish, make

KEPT = 50_000
KEPT_BYTES = 256 * 1024 * 1024
UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
PREFIX = "/cdn/files/"
TIMED = ("mp4", "wav", "mp3")


@dataclass(slots=True)
class File:
    """One file. `wish` or `content` says what is in it; `expires_at` None: never (Unix seconds)."""

    content_type: str
    wish: Wish | None = None
    content: bytes = b""
    expires_at: float | None = None
    effects: Effects = field(default_factory=lambda: Effects())

    def read(self) -> bytes:
        """All bytes."""
        return self.content if self.wish is None else make(self.wish)


@dataclass(slots=True)
class Files:
    """Files by path, oldest first."""

    files: OrderedDict[str, File] = field(default_factory=OrderedDict)
    size: int = 0

    def add_made(self, wish: Wish, *, lifetime: float | None, effects: Effects, now: float) -> str:
        """Promise a file; its path."""
        path = f"{PREFIX}b/{token_hex(10)}/output.{wish.kind}"
        expires_at = None if lifetime is None else now + lifetime
        self._put(path, File(wish.content_type, wish, expires_at=expires_at, effects=effects))
        return path

    def add_uploaded(self, path: str, content: bytes, content_type: str, *, expires_at: float | None) -> None:
        """Keep a file that was sent."""
        self._put(path, File(content_type, content=content, expires_at=expires_at))

    def get(self, path: str, now: float) -> File | None:
        """A file that is there and has not expired."""
        file = self.files.get(path)
        if file is not None and file.expires_at is not None and file.expires_at <= now:
            self.remove(path)
            return None
        return file

    def remove(self, path: str) -> bool:
        """Delete a file; False when there is none."""
        file = self.files.pop(path, None)
        self.size -= len(file.content) if file else 0
        return file is not None

    def seconds_of(self, path: str) -> float | None:
        """The length of a film or sound that lies here; None where it is neither, or not understood."""
        file = self.files.get(path)
        if file is None:
            return None
        if file.wish is not None:
            return file.wish.seconds if file.wish.kind in TIMED else None
        return seconds_of(file.content)

    def _put(self, path: str, file: File) -> None:
        self.remove(path)
        self.files[path] = file
        self.size += len(file.content)
        while len(self.files) > KEPT or (self.size > KEPT_BYTES and len(self.files) > 1):
            self.remove(next(iter(self.files)))


def new_path(file_name: str) -> str:
    """A path for a file to be uploaded."""
    return f"{PREFIX}b/{token_hex(10)}/{UNSAFE.sub('_', file_name)[-120:] or 'upload.bin'}"
