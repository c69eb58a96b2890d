"""The proxy protocol of fal's browser client: a header names what it would ask of fal, and the same is asked of us.

Nothing is ever passed on: of an address at fal only path and parameters are read, and they stand for our own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal
from urllib.parse import unquote, urlsplit

from django.http import HttpRequest, QueryDict

from genfeed.clients.errors import ApiError
from jobs.protocols.fal.errors import no_parts, no_realtime

HEADER = "X-Fal-Target-Url"
Kind = Literal["queue", "run", "storage"]
# The last is where older releases of the client upload.
_KINDS: dict[str, Kind] = {
    "queue.fal.run": "queue", "fal.run": "run", "rest.fal.ai": "storage", "rest.alpha.fal.ai": "storage",
}  # fmt: skip
_INITIATE = "storage/upload/initiate"
_LONGEST = 8_000
_SERVED = "Models are run at queue.fal.run and fal.run, and files of up to 90 MB are uploaded at rest.fal.ai."
# What the client asks for and is not served.
_REFUSED = {"storage/upload/initiate-multipart": no_parts, "tokens": no_realtime}


@dataclass(frozen=True, slots=True)
class Target:
    """What is asked for: the kind of our addresses, the path below, and its parameters as they were written."""

    kind: Kind
    path: str
    query: str


def read_target(request: HttpRequest) -> Target:
    """The target of a request. Raises ApiError: 400 without one, 403 for one that is nothing of ours.

    What fal's client may ask for and we do not have is refused in words of its own.
    """
    text = request.headers.get(HEADER, "").strip()
    if not text:
        raise ApiError("invalid_request", f"The header {HEADER} is missing.", "Set proxyUrl of fal's client to here.")
    if len(text) > _LONGEST:
        hint = "Send what is long in the body."
        raise ApiError("invalid_request", f"{HEADER} has more than {_LONGEST} characters.", hint)
    try:
        found = urlsplit(text)
    except ValueError:
        found = urlsplit("")
    kind = _KINDS.get(found.netloc.lower())
    path = unquote(found.path).strip("/")
    is_served = kind is not None and found.scheme == "https" and path and ".." not in path.split("/")
    if kind == "storage" and is_served and path in _REFUSED:
        raise _REFUSED[path]()
    if kind is None or not is_served or (kind == "storage" and path != _INITIATE):
        raise ApiError("forbidden_scope", f"{text[:200]!r} is not served here.", _SERVED)
    return Target(kind, path, found.query)


def stand_for(request: HttpRequest, target: Target) -> None:
    """Makes the request what it would be at our own address: one key and body at two targets are two requests."""
    request.path = request.path_info = f"/fal/{target.kind}/{target.path}"
    request.GET = QueryDict(target.query)
