"""A scanner: clamd's INSTREAM command. ASSET_SCANNER=jobs.assets.clamav.scan and CLAMAV_ADDRESS switch it on."""

from __future__ import annotations

import socket
from typing import BinaryIO

from django.conf import settings

from jobs.assets.scanning import ScanError

_PIECE = 256 * 1024
_LONGEST_ANSWER = 4_096


def scan(file: BinaryIO, *, name: str, content_type: str) -> str:
    """The name of what clamd found, "" for a clean file. Raises ScanError where clamd gives no clear answer."""
    host, _, port = settings.CLAMAV_ADDRESS.rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=settings.CLAMAV_SECONDS) as connection:
            connection.sendall(b"zINSTREAM\0")
            while piece := file.read(_PIECE):
                connection.sendall(len(piece).to_bytes(4) + piece)
            connection.sendall(bytes(4))
            answer = _answer(connection)
    except (OSError, ValueError) as error:
        raise ScanError(f"clamd at {settings.CLAMAV_ADDRESS} can't be asked: {type(error).__name__}") from error
    verdict = answer.removeprefix("stream:").strip()
    if verdict == "OK":
        return ""
    if verdict.endswith(" FOUND"):
        return verdict.removesuffix(" FOUND")[:100]
    raise ScanError(f"clamd answered {answer[:100]!r}")


def _answer(connection: socket.socket) -> str:
    """Up to the zero byte that ends an answer, or to the end of the connection."""
    answer = b""
    while not answer.endswith(b"\0") and len(answer) < _LONGEST_ANSWER:
        piece = connection.recv(_LONGEST_ANSWER)
        if not piece:
            break
        answer += piece
    return answer.rstrip(b"\0\n").decode("utf-8", "replace")
