"""Fetching an export over a network that may be slow, cut or hostile: bounded, and continued where it broke off."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from django.conf import settings

from catalog.exchange.file_format import LARGEST_FILE
from catalog.exchange.signing import is_open_to_forgers
from genfeed.cloud.deadlines import Line

KEY_PATH = "/.well-known/genfeed-catalog-key"
EXPORT_PATH = "/api/v1/catalog/export"
ATTEMPTS = 6
_FIRST_WAIT = 0.5
_LONGEST_WAIT = 8.0
# One wait for bytes; and all attempts of one call together. What has come by then is continued by the next call.
_READ_SECONDS = 20.0
ALL_SECONDS = 600.0
# Whatever is no export: a key, or the reason of a refusal.
LARGEST_ANSWER = 65_536
SMALL_SECONDS = 30.0
# As they come: what a few bytes would unpack to is nobody's bound.
_PLAIN = {"Accept-Encoding": "identity"}
_LONGEST_ETAG = 200

Progress = Callable[[str, int, int], None]


class CloudError(Exception):
    """The cloud's catalog could not be had; the message says why and what to do. `is_offline`: it can't be reached."""

    def __init__(self, message: str, *, is_offline: bool = False) -> None:
        super().__init__(message)
        self.is_offline = is_offline


@dataclass(frozen=True)
class Asked:
    """What is asked for: everything since the export `since`, unless the newest one is the one of this ETag."""

    since: int = 0
    etag: str = ""


class Cloud:
    """A cloud installation at `url`, asked with an API key. `folder` keeps what was downloaded of an export so far."""

    def __init__(self, url: str, key: str, folder: Path) -> None:
        self.url = url
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._part = folder / "export.part"
        self._note = folder / "export.part.json"
        self._http = httpx.Client(
            base_url=url,
            headers={"Authorization": f"Bearer {key}"} if key else {},
            timeout=httpx.Timeout(_READ_SECONDS, connect=10.0),
            limits=httpx.Limits(max_connections=1),
            follow_redirects=False,
            # The proxy variables of the environment would show the key to whoever they name.
            trust_env=False,
        )
        self._line = Line()

    def __enter__(self) -> Cloud:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def public_key(self) -> str:
        """The key that the cloud says it signs with; raises CloudError."""
        try:
            with self._line.within(SMALL_SECONDS), self._ask(KEY_PATH, _PLAIN) as answer:
                content = _read_small(answer)
        except httpx.HTTPError as error:
            raise _unreachable(self.url, error) from None
        found = _field(content, "public_key") if answer.status_code == 200 else None
        if not isinstance(found, str):
            raise CloudError(f"{self.url}{KEY_PATH} tells no key (HTTP {answer.status_code}). Is CLOUD_URL right?")
        return found

    def fetch(self, asked: Asked, progress: Progress) -> bytes | None:
        """The bytes of an export, not checked yet; None where the newest is the one that is had. Raises CloudError."""
        ends_at = time.monotonic() + ALL_SECONDS
        trouble: CloudError | None = None
        for attempt in range(ATTEMPTS):
            if trouble is not None:
                wait = random.uniform(0, min(_FIRST_WAIT * 2**attempt, _LONGEST_WAIT))  # noqa: S311 - not a secret
                if time.monotonic() + wait > ends_at:
                    break
                time.sleep(wait)
            try:
                return self._attempt(asked, progress, ends_at)
            except _Again as again:
                trouble = again.trouble
        assert trouble is not None  # noqa: S101 - a loop that ends by itself had trouble
        raise trouble

    def forget(self) -> None:
        """Throws away what was downloaded: it is taken, or no good."""
        self._part.unlink(missing_ok=True)
        self._note.unlink(missing_ok=True)

    def _attempt(self, asked: Asked, progress: Progress, ends_at: float) -> bytes | None:
        headers = _PLAIN | ({"If-None-Match": asked.etag} if asked.etag else {})
        had = self._had(asked)
        if had:
            headers |= {"Range": f"bytes={had[1]}-", "If-Range": had[0]}
        try:
            with (
                self._line.within(ends_at - time.monotonic()),
                self._ask(EXPORT_PATH, headers, {"since": asked.since}) as answer,
            ):
                if answer.status_code == 304 and asked.etag:
                    self.forget()
                    return None
                if answer.status_code == 416:
                    self.forget()
                    raise _Again(CloudError("The cloud's export has changed during the download. Try again."))
                if answer.status_code not in (200, 206):
                    raise self._refusal(answer.status_code, _read_small(answer))
                self._take(answer, asked, had[1] if had and answer.status_code == 206 else 0, progress, ends_at)
        except httpx.HTTPError as error:
            raise _Again(_unreachable(self.url, error)) from None
        return self._part.read_bytes()

    def _ask(
        self, path: str, headers: Mapping[str, str], params: Mapping[str, int] | None = None
    ) -> AbstractContextManager[httpx.Response]:
        extensions = {"trace": self._line.trace}
        return self._http.stream("GET", path, params=params, headers=headers, extensions=extensions)

    def _take(self, answer: httpx.Response, asked: Asked, start: int, progress: Progress, ends_at: float) -> None:
        if answer.status_code == 206 and not answer.headers.get("content-range", "").startswith(f"bytes {start}-"):
            self.forget()
            raise _Again(CloudError("The cloud continued the download at another place. Try again."))
        if not start:
            etag = answer.headers.get("etag", "")
            # It is sent back: one that no header can carry would stop every sync to come.
            etag = etag if etag.isascii() and len(etag) <= _LONGEST_ETAG else ""
            note = {"url": self.url, "since": asked.since, "etag": etag}
            self._note.write_text(json.dumps(note))
        size = start
        total = start + int(answer.headers.get("content-length", 0))
        with self._part.open("r+b" if start else "wb") as file:
            file.seek(start)
            file.truncate()
            for chunk in answer.iter_raw():
                size += len(chunk)
                if size > LARGEST_FILE:
                    file.close()
                    self.forget()
                    raise CloudError(f"The cloud sends more than {LARGEST_FILE:,} bytes, which no catalog takes.")
                file.write(chunk)
                progress("downloading", size, max(total, size))
                if time.monotonic() > ends_at:
                    raise CloudError(
                        f"The download is too slow: {size:,} of {total:,} bytes in {ALL_SECONDS:.0f} s. The next sync "
                        "goes on from there."
                    )

    def _had(self, asked: Asked) -> tuple[str, int] | None:
        """ETag and length of what an earlier call got of the same export."""
        try:
            note = json.loads(self._note.read_text())
            size = self._part.stat().st_size
            same = (note["url"], note["since"]) == (self.url, asked.since)
            return (note["etag"], size) if same and note["etag"] and size else None
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def _refusal(self, status: int, content: bytes) -> Exception:
        # A database takes neither null characters nor halves of pairs, and an alert keeps these words.
        said = "".join(filter(str.isprintable, str(_field(content, "message") or "")[:300]))
        words = f"The cloud at {self.url} answers HTTP {status}{f': {said}' if said else ''}"
        match status:
            case 401 | 403:
                return CloudError(f"{words} Set CLOUD_API_KEY to a key of that installation with scope models:read.")
            case 429 | 500 | 502 | 503 | 504:
                return _Again(CloudError(f"{words} It is tried again with the next sync."))
            case _ if 300 <= status < 400:
                return CloudError(f"{words} Set CLOUD_URL to the address that it leads to.")
            case _:
                return CloudError(f"{words} Is CLOUD_URL the address of a GenFeed installation?")


def configured_cloud() -> Cloud:
    """The cloud at CLOUD_URL; raises CloudError where there is none, or none that may be asked."""
    if not settings.CLOUD_URL:
        raise CloudError("CLOUD_URL is not set. Set it to the address of a GenFeed installation, such as https://….")
    if is_open_to_forgers(settings.CLOUD_URL, settings.CLOUD_PUBLIC_KEY):
        raise CloudError(OPEN_TO_FORGERS)
    return Cloud(settings.CLOUD_URL, settings.CLOUD_API_KEY, settings.VAR_DIR / "cloud")


OPEN_TO_FORGERS = (
    "CLOUD_URL is plain http, so that anybody in between could name another key than the cloud's at first use, and "
    "read yours. Use https://…, or set CLOUD_PUBLIC_KEY in a network that you trust."
)


class _Again(Exception):
    """Trouble that another attempt may be without."""

    def __init__(self, trouble: CloudError) -> None:
        super().__init__(str(trouble))
        self.trouble = trouble


def _read_small(answer: httpx.Response) -> bytes:
    """The whole body of an answer that can't be long; b"" for one that is, or that does not end."""
    content, ends_at = b"", time.monotonic() + SMALL_SECONDS
    for chunk in answer.iter_raw():
        content += chunk
        if len(content) > LARGEST_ANSWER or time.monotonic() > ends_at:
            return b""
    return content


def _field(content: bytes, name: str) -> Any:
    """A field of an object of JSON, None where there is none."""
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        return None
    return found.get(name) if isinstance(found, dict) else None


def _unreachable(url: str, error: httpx.HTTPError) -> CloudError:
    kind = "does not answer in time" if isinstance(error, httpx.TimeoutException) else "can't be reached"
    return CloudError(
        f"The cloud at {url} {kind} ({type(error).__name__}). The catalog that is here stays in use.", is_offline=True
    )
