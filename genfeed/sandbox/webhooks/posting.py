"""POST over HTTP/1.1 with connections that are kept. A general client costs ten times the time of all the rest here."""

import asyncio
import ssl
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Place = tuple[str, str, int]
KEPT = 16
LARGEST_HEAD = 64 * 1024


class PostError(Exception):
    """Nobody answered, or not in HTTP; the text says what happened."""


@dataclass(slots=True)
class Poster:
    """Idle connections by scheme, host and port."""

    idle: defaultdict[Place, list[Connection]] = field(default_factory=lambda: defaultdict(list))

    async def post(self, url: str, body: bytes, headers: Mapping[str, str], *, timeout: float) -> int:
        """The status of the answer; redirects are not followed. Raises PostError, also after `timeout` seconds."""
        try:
            parts = urlsplit(url)
            place = (parts.scheme, parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80))
        except ValueError as error:
            raise PostError("InvalidURL") from error
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise PostError("InvalidURL")
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        lines = [f"POST {target} HTTP/1.1", f"host: {parts.netloc.rpartition('@')[2]}", f"content-length: {len(body)}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        if any(ord(char) < 33 or ord(char) > 126 for char in target):
            raise PostError("InvalidURL")
        message = "\r\n".join(lines).encode() + b"\r\n\r\n" + body
        try:
            async with asyncio.timeout(timeout):
                return await self._exchange(place, message)
        except (OSError, EOFError, ValueError, IndexError, asyncio.LimitOverrunError) as error:
            raise PostError(type(error).__name__) from error

    async def _exchange(self, place: Place, message: bytes) -> int:
        """Send on a kept connection; it may have been closed at the other end meanwhile, then on a new one."""
        while self.idle[place]:
            try:
                return await self._send(place, self.idle[place].pop(), message)
            except (ConnectionError, asyncio.IncompleteReadError):
                continue
        context = ssl.create_default_context() if place[0] == "https" else None
        opened = await asyncio.open_connection(place[1], place[2], ssl=context, limit=LARGEST_HEAD)
        return await self._send(place, opened, message)

    async def _send(self, place: Place, connection: Connection, message: bytes) -> int:
        reader, writer = connection
        keeps = False
        try:
            writer.write(message)
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            status = int(head.split(b" ", 2)[1])
            _, found, rest = head.partition(b"\r\ncontent-length:")
            if found:
                await reader.readexactly(int(rest.split(b"\r\n", 1)[0]))
            keeps = bool(found) and b"connection: close" not in head and head.startswith(b"http/1.1")
            return status
        finally:
            if keeps and len(self.idle[place]) < KEPT:
                self.idle[place].append(connection)
            else:
                writer.close()
