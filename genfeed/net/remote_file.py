"""A file on somebody else's server, read like one that is here: only the parts that are asked for, and not too many."""

from __future__ import annotations

import io
import re

from genfeed.net.addresses import GuardError
from genfeed.net.guarded import GuardedClient

BLOCK = 128 * 1024
MOST_CALLS = 10
_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)")


class RemoteFile(io.RawIOBase):
    """A seekable file of blocks fetched by range requests; a host without ranges is read from its beginning.

    Raises GuardError (at the first read too) for refusals, failures, and once `MOST_CALLS` calls are spent.
    """

    def __init__(self, client: GuardedClient, url: str) -> None:
        super().__init__()
        self._client = client
        self._url = url
        self._blocks: dict[int, bytes] = {}
        self._position = 0
        self._calls = 0
        self._has_ranges = True
        self.content_type = ""
        self.size = -1
        self._fetch(0)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self.size}[whence]
        if whence == io.SEEK_END and self.size < 0:
            raise GuardError("the host does not say how long the file is")
        self._position = max(0, start + offset)
        return self._position

    def read(self, size: int = -1) -> bytes:
        if size is None or size < 0:
            size = max(0, self.size - self._position)
        parts = bytearray()
        while len(parts) < size:
            number, inside = divmod(self._position, BLOCK)
            if self.size >= 0 and self._position >= self.size:
                break
            block = self._blocks.get(number)
            if block is None:
                block = self._fetch(number)
            piece = block[inside : inside + size - len(parts)]
            if not piece:
                break
            parts += piece
            self._position += len(piece)
        return bytes(parts)

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        piece = self.read(len(buffer))
        buffer[: len(piece)] = piece
        return len(piece)

    def _fetch(self, number: int) -> bytes:
        if self._calls >= MOST_CALLS or not self._has_ranges:
            raise GuardError("what is needed stands too far inside the file")
        self._calls += 1
        first = number * BLOCK
        wanted = {"Range": f"bytes={first}-{first + BLOCK - 1}"}
        # Without ranges the whole file begins to come: as much of it is taken as ranges could have brought.
        answer = self._client.get(self._url, max_bytes=MOST_CALLS * BLOCK, headers=wanted)
        if answer.status == 206:
            self._take_part(number, answer.body[:BLOCK], answer.headers.get("content-range", ""))
        elif answer.status == 200 and number == 0:
            self._take_beginning(answer.body, answer.is_whole, answer.headers.get("content-length", ""))
        elif 300 <= answer.status < 400:
            raise GuardError("the host sends us elsewhere, and redirects are not followed")
        else:
            raise GuardError(f"the host answered {answer.status}")
        self.content_type = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
        return self._blocks.get(number, b"")

    def _take_part(self, number: int, body: bytes, content_range: str) -> None:
        told = _RANGE.fullmatch(content_range.strip())
        if not told or int(told[1]) != number * BLOCK:
            raise GuardError("the host answered with another part of the file than asked for")
        if told[3] != "*":
            self.size = int(told[3])
        self._blocks[number] = body

    def _take_beginning(self, body: bytes, is_whole: bool, length: str) -> None:
        self._has_ranges = False
        self.size = len(body) if is_whole else int(length) if length.isdigit() else -1
        for start in range(0, len(body), BLOCK):
            self._blocks[start // BLOCK] = body[start : start + BLOCK]
        if not is_whole:
            # The last block may be cut short, and there is no more where it came from.
            self._blocks.pop(len(body) // BLOCK, None) if len(body) % BLOCK else None
