"""Uploads: an address is given out first, then the bytes come, at once or in parts."""

import time
from dataclasses import dataclass, field
from secrets import token_hex, token_urlsafe
from typing import TYPE_CHECKING

import orjson
from starlette.requests import Request
from starlette.responses import Response

from genfeed.sandbox.answers import json_answer

if TYPE_CHECKING:
    from genfeed.sandbox.state import Sandbox

MOST_EXPECTED = 10_000
TOKEN_SECONDS = 3600.0


@dataclass(slots=True)
class Expected:
    """A file that is going to be sent; `parts` are there for one that comes in parts."""

    content_type: str
    expires_at: float | None
    parts: dict[int, bytes] = field(default_factory=dict)


@dataclass(slots=True)
class Uploads:
    """What is expected, by path, and the upload tokens with their ends (Unix seconds)."""

    expected: dict[str, Expected] = field(default_factory=dict)
    tokens: dict[str, float] = field(default_factory=dict)

    def expect(self, path: str, content_type: str, *, lifetime: float | None) -> None:
        """Be ready for a file."""
        while len(self.expected) >= MOST_EXPECTED:
            self.expected.pop(next(iter(self.expected)))
        self.expected[path] = Expected(content_type, None if lifetime is None else time.time() + lifetime)

    def new_token(self) -> tuple[str, float]:
        """A token for uploads and its end."""
        now = time.time()
        self.tokens = {token: ends for token, ends in self.tokens.items() if ends > now}
        token = token_urlsafe(32)
        self.tokens[token] = now + TOKEN_SECONDS
        return token, self.tokens[token]

    def is_token(self, header: str | None) -> bool:
        """Whether an Authorization header holds a token that is still good."""
        _, _, token = (header or "").partition(" ")
        return self.tokens.get(token.strip(), 0.0) > time.time()

    async def take_part(self, sandbox: "Sandbox", request: Request, path: str, last: str, upload: str) -> Response:
        """One part, or the end of all: the parts are joined in the order of their numbers."""
        expected = self.expected.get(path)
        if expected is None:
            return json_answer({"detail": "Upload not found"}, 404)
        if last == "complete" and request.method == "POST":
            return self._complete(sandbox, path, expected, await request.body())
        if not last.isdigit() or not 1 <= int(last) <= 10_000 or request.method != "PUT":
            return json_answer({"detail": "A part has a number from 1 to 10000"}, 400)
        body = await request.body()
        expected.parts[int(last)] = body
        etag = f'"{token_hex(16)}"'
        answer = json_answer({"partNumber": int(last), "etag": etag})
        answer.headers["etag"] = etag
        return answer

    def _complete(self, sandbox: "Sandbox", path: str, expected: Expected, body: bytes) -> Response:
        try:
            named = orjson.loads(body or b"{}").get("parts") or [{"partNumber": at} for at in sorted(expected.parts)]
            numbers = [part.get("partNumber", part.get("part_number")) for part in named]
            content = b"".join(expected.parts[number] for number in sorted(numbers))
        except (orjson.JSONDecodeError, AttributeError, KeyError, TypeError):
            return json_answer({"detail": "The parts named are not the parts sent"}, 400)
        sandbox.files.add_uploaded(path, content, expected.content_type, expires_at=expected.expires_at)
        expected.parts.clear()
        return json_answer({"access_url": sandbox.base_url + path})
