"""Answers of providers that no memory would hold: refused while they are unpacked, not afterwards."""

from __future__ import annotations

from typing import Any

import httpx

MOST_BYTES = 67_108_864
# A piece of the wire becomes a thousand times as much by these at the most; by others, a million times.
_PACKED = frozenset({"", "identity", "gzip", "deflate"})


class TooLargeError(httpx.DecodingError):
    """An answer of more than MOST_BYTES once it is unpacked, or packed as was not asked for."""


class BoundedClient(httpx.Client):
    """httpx's client, which reads no answer beyond MOST_BYTES. Streams are left to whoever opens them."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.headers["Accept-Encoding"] = "gzip, deflate"

    def send(self, request: httpx.Request, *, stream: bool = False, **options: Any) -> httpx.Response:
        """As httpx's; raises TooLargeError too."""
        response = super().send(request, stream=True, **options)
        if stream:
            return response
        try:
            _read(response, request)
        finally:
            response.close()
        return response


def _read(response: httpx.Response, request: httpx.Request) -> None:
    if response.headers.get("content-encoding", "").strip().lower() not in _PACKED:
        raise TooLargeError("The answer is packed in a way that was not asked for.", request=request)
    pieces: list[bytes] = []
    size = 0
    for piece in response.iter_bytes():
        size += len(piece)
        if size > MOST_BYTES:
            raise TooLargeError(f"The answer has more than {MOST_BYTES} bytes.", request=request)
        pieces.append(piece)
    # Where httpx itself keeps what it has read.
    response._content = b"".join(pieces)
    # Not what the answer calls its encoding, which may be any codec of Python's: some unpack, some crash, and some make
    # halves of characters, which no database stores.
    response.encoding = "utf-8"
