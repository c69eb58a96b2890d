"""A stranger's file for a parser that we did not write: so many bytes, so many steps, and no further.

A file of some kilobytes can be made so that a parser walks over it for hours, or keeps gigabytes of what it promises.
"""

from __future__ import annotations

import io
import os
from typing import BinaryIO

File = io.RawIOBase | BinaryIO

# A sound of two hours in pages of some kilobytes is walked over in fewer.
MOST_STEPS = 400_000
MOST_BYTES = 64 * 1024 * 1024
# Beyond any file; a system refuses places beyond its own bound as it refuses a broken disk.
FARTHEST = 2**43


class TooMuchError(ValueError):
    """The file would have its reader read or walk more than the header of any file takes."""


class FrugalFile(io.RawIOBase):
    """Reads of another file, counted. Raises TooMuchError once they are too many."""

    def __init__(self, file: File) -> None:
        super().__init__()
        self._file = file
        self._steps = MOST_STEPS
        self._bytes = MOST_BYTES

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._file.tell()

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._step()
        if abs(offset) > FARTHEST:
            raise TooMuchError("the file names a place that no file has")
        return self._file.seek(offset, whence)

    def read(self, size: int = -1) -> bytes:
        self._step()
        # One byte more than there may be: whoever asks for all and gets it has had too much.
        most = self._bytes + 1 if size < 0 else size
        if size > self._bytes:
            raise TooMuchError("the file promises more than any header holds")
        piece = self._file.read(most) or b""
        self._bytes -= len(piece)
        if self._bytes < 0:
            raise TooMuchError("the file holds more than any header does")
        return piece

    def _step(self) -> None:
        self._steps -= 1
        if self._steps < 0:
            raise TooMuchError("the header of the file does not end")
