"""The Range header (RFC 9110): one range of bytes; several at once, and other units, are answered with the whole."""

from __future__ import annotations

import re
from dataclasses import dataclass

_ONE = re.compile(r"bytes\s*=\s*(\d{0,18})\s*-\s*(\d{0,18})\s*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Part:
    """`start` to `end`, both included, of a file."""

    start: int
    end: int

    @property
    def length(self) -> int:
        return self.end - self.start + 1


class UnsatisfiableError(ValueError):
    """A range that lies outside of the file: 416."""


def part_of(header: str, size: int) -> Part | None:
    """The part of a file of `size` bytes that a Range header asks for; None: the whole. Raises UnsatisfiableError."""
    asked = _ONE.fullmatch(header.strip())
    if asked is None or not (asked[1] or asked[2]):
        return None
    if not asked[1]:
        length = min(int(asked[2]), size)
        if length == 0:
            raise UnsatisfiableError
        return Part(size - length, size - 1)
    start, end = int(asked[1]), int(asked[2]) if asked[2] else size - 1
    if asked[2] and end < start:
        # Not well formed: to be ignored.
        return None
    if start >= size:
        raise UnsatisfiableError
    return Part(start, min(end, size - 1))
