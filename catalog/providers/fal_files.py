"""Bringing files to fal's storage, for requests that use them: an address is asked for, then the bytes are sent there.

Our key goes to fal's REST host alone; the address that it names is good for this one file and needs none. It came with
an answer, so it is held to the public internet as every foreign address is.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any, BinaryIO

import httpx
import orjson
from django.conf import settings

from catalog.providers.fal_answers import answer_of, body_of, detail_of
from catalog.providers.queue import KeyRefusedError, RefusedError, UnreachableError
from genfeed.net.addresses import GuardError
from genfeed.net.guarded import Fetched, GuardedClient

_STORAGE = "fal-cdn-v3"
_PIECE = 256 * 1024
# As fal's own client does: what is larger goes in parts.
_IN_PARTS = 90 * 1024 * 1024
_PART = 10 * 1024 * 1024
_LONGEST_ANSWER = 256 * 1024
_KEPT_HEADERS = ("content-type", "retry-after")


def upload(
    client: httpx.Client,
    file: BinaryIO,
    *,
    name: str,
    content_type: str,
    size: int,
    rest_url: str | None = None,
    allow: Collection[str] | None = None,
) -> str:
    """The address of a file at fal, which lives for FAL_OBJECT_SECONDS. `client` carries our key.

    The file is read onwards from where it stands: it may be a stream. `rest_url` and `allow` are the settings' where
    they are None.

    Raises UnreachableError (may be tried again), RefusedError, KeyRefusedError.
    """
    in_parts = size > _IN_PARTS
    rest_url = settings.FAL_REST_URL if rest_url is None else rest_url
    try:
        asked = client.post(
            f"{rest_url}/storage/upload/initiate{'-multipart' if in_parts else ''}",
            params={"storage_type": _STORAGE},
            content=orjson.dumps({"content_type": content_type, "file_name": name}),
            headers={
                "Content-Type": "application/json",
                "X-Fal-Object-Lifecycle-Preference": orjson.dumps(
                    {"expiration_duration_seconds": settings.FAL_OBJECT_SECONDS}
                ).decode(),
            },
        )
        body = _read(asked)
        upload_url, file_url = body.get("upload_url"), body.get("file_url")
        if not isinstance(upload_url, str) or not isinstance(file_url, str):
            raise UnreachableError("fal gave no address for an upload.", answer_of("upload", asked))
    except httpx.HTTPError as error:
        raise UnreachableError(f"fal's storage could not be reached: {type(error).__name__}") from error
    try:
        # No longer than the lease of whoever hands a file over.
        allowed = settings.SSRF_ALLOW if allow is None else allow
        with GuardedClient(seconds=settings.ASSET_DOWNLOAD_SECONDS, allow=allowed) as bare:
            if in_parts:
                _send_parts(bare, upload_url, file, size)
            else:
                _put(bare, upload_url, file, size, {"Content-Type": content_type})
    except GuardError as error:
        raise UnreachableError(f"fal's storage could not be reached: {error}.") from error
    return file_url


def _send_parts(client: GuardedClient, upload_url: str, file: BinaryIO, size: int) -> None:
    parts = []
    for number, start in enumerate(range(0, size, _PART), 1):
        sent = _put(client, f"{upload_url}/{number}", file, min(_PART, size - start), {})
        parts.append({"partNumber": number, "etag": sent.get("etag")})
    body = orjson.dumps({"parts": parts})
    headers = {"Content-Type": "application/json"}
    _read(_answer(client.post(f"{upload_url}/complete", body, max_bytes=_LONGEST_ANSWER, headers=headers)))


def _put(client: GuardedClient, url: str, file: BinaryIO, length: int, headers: dict[str, str]) -> dict[str, Any]:
    return _read(_answer(client.put(url, _pieces(file, length), length, max_bytes=_LONGEST_ANSWER, headers=headers)))


def _answer(fetched: Fetched) -> httpx.Response:
    headers = {name: value for name, value in fetched.headers.items() if name in _KEPT_HEADERS}
    return httpx.Response(fetched.status, headers=headers, content=fetched.body)


def _pieces(file: BinaryIO, length: int) -> Iterator[bytes]:
    while length > 0 and (piece := file.read(min(_PIECE, length))):
        length -= len(piece)
        yield piece


def _read(response: httpx.Response) -> dict[str, Any]:
    status = response.status_code
    if status in (401, 403):
        raise KeyRefusedError(f"fal's storage does not accept our key ({status}).", answer_of("upload", response))
    if 400 <= status < 500 and status not in (408, 429):
        message = f"fal's storage refused the file with {status}."
        raise RefusedError(message, status, detail_of(response), answer_of("upload", response))
    if status >= 300:
        raise UnreachableError(f"fal's storage answered {status}.", answer_of("upload", response))
    body = body_of(response)
    return body if isinstance(body, dict) else {}
