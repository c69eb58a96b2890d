"""Reading from a provider: bounded retries with full jitter, Retry-After honoured, every failure in words."""

import json
import logging
import random
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

import httpx
import orjson
from django.utils import timezone

from catalog.providers.base import (
    ProviderBadAnswerError,
    ProviderError,
    ProviderKeyError,
    ProviderRateLimitedError,
    ProviderRejectedError,
    ProviderUnavailableError,
)
from catalog.providers.bounded import BoundedClient
from genfeed.net.bounded_json import read_told, storable

logger = logging.getLogger(__name__)

_RETRYABLE_STATUS = {408, 429, 500, 502, 503, 504}
# Waiting longer than this inside one sync helps nobody: the next sync comes by itself.
LONGEST_RETRY_AFTER = 60.0

Params = Mapping[str, str | int | Sequence[str]]


@dataclass(frozen=True)
class Backoff:
    """`retries` more tries after the first; waits of up to base × 2ⁿ seconds, never over `cap`."""

    retries: int = 3
    base: float = 1.0
    cap: float = 8.0

    def seconds(self, attempt: int) -> float:
        """Full jitter: anything from nothing to the exponential bound, so that many clients do not march in step."""
        return random.uniform(0, min(self.cap, self.base * 2**attempt))  # noqa: S311 - no secret


class JsonReader:
    """Requests for JSON objects (and texts) at one base URL. Safe to share between threads."""

    def __init__(
        self,
        *,
        provider: str,
        base_url: str,
        headers: Mapping[str, str],
        timeout: float,
        backoff: Backoff,
        connections: int,
        sleep: Callable[[float], object] | None = None,
    ) -> None:
        self.provider = provider
        self.base_url = base_url
        self._backoff = backoff
        self._closed = threading.Event()
        # A wait that ends when we are closed: who gives up must not wait for what nobody wants any more.
        self._sleep = sleep or self._closed.wait
        self._key = headers.get("Authorization", "").rpartition(" ")[2]
        wanted = {"Accept": "application/json", **headers}
        self._http = BoundedClient(
            # As bytes: a key that somebody mistyped with an umlaut is the provider's to refuse, not ours to crash on.
            headers={name.encode(): value.encode() for name, value in wanted.items()},
            timeout=timeout,
            limits=httpx.Limits(max_connections=connections, max_keepalive_connections=connections),
            # A key must never follow a redirect to another host.
            follow_redirects=False,
        )

    def close(self) -> None:
        self._closed.set()
        self._http.close()

    def get(self, path: str, params: Params, *, exact: bool = False) -> dict[str, Any]:
        """The JSON object at `path`; raises a ProviderError that says what happened after the last try.

        `exact` reads numbers with a point or an exponent as Decimal, never through a float.
        """
        return self._patiently(path, lambda: self._object(path, self._send("GET", path, params=params), exact=exact))

    def get_text(self, path: str) -> str:
        """The text at `path`, as `get`."""
        return self._patiently(path, lambda: self._send("GET", path).text)

    def post_once(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """The JSON object that answers `body`, numbers exact; one try, for calls that are limited hard."""
        try:
            return self._object(path, self._send("POST", path, body=body), exact=True)
        except _Retry as trouble:
            raise trouble.error from None

    def _patiently[T](self, path: str, once: Callable[[], T]) -> T:
        attempt = 0
        while True:
            try:
                return once()
            except _Retry as trouble:
                if attempt >= self._backoff.retries or (trouble.after or 0) > LONGEST_RETRY_AFTER:
                    raise trouble.error from None
                wait = self._backoff.seconds(attempt) if trouble.after is None else trouble.after
                logger.info("retrying %s%s in %.2f s: %s", self.base_url, path, wait, trouble.error)
                self._sleep(wait)
                if self._closed.is_set():
                    raise trouble.error from None
                attempt += 1

    @property
    def _where(self) -> str:
        return f"{self.provider} at {urlsplit(self.base_url).netloc}"

    def _send(
        self, method: str, path: str, *, params: Params | None = None, body: Mapping[str, Any] | None = None
    ) -> httpx.Response:
        where = self._where
        try:
            answer = self._http.request(
                method, f"{self.base_url}{path}", params=dict(params) if params else None, json=body
            )
        except httpx.TimeoutException:
            raise _Retry(ProviderUnavailableError(f"{where} did not answer in time.")) from None
        except httpx.LocalProtocolError:
            # Its own words would repeat the header that can't be sent, and that may be the key.
            raise ProviderKeyError(f"The request to {where} can't be sent. Check the key in the settings.") from None
        except httpx.TransportError as error:
            raise _Retry(
                ProviderUnavailableError(f"{where} can't be reached: {error or type(error).__name__}.")
            ) from None
        except httpx.DecodingError:
            raise _Retry(ProviderBadAnswerError(f"{where} answered {path} with something unreadable.")) from None
        if answer.status_code != 200:
            raise self._refusal(answer, where)
        return answer

    def _object(self, path: str, answer: httpx.Response, *, exact: bool) -> dict[str, Any]:
        try:
            body = _read_exactly(answer.content) if exact else read_told(answer.content)
        except (ValueError, ArithmeticError, RecursionError):
            seen = answer.headers.get("content-type", "no content type")
            raise _Retry(
                ProviderBadAnswerError(f"{self._where} answered {path} with something that is no JSON ({seen}).")
            ) from None
        if not isinstance(body, dict):
            raise _Retry(ProviderBadAnswerError(f"{self._where} answered {path} with JSON that is no object."))
        return body

    def _refusal(self, answer: httpx.Response, where: str) -> Exception:
        status = answer.status_code
        said = _said(answer)
        for secret in (self._key, self._key.rpartition(":")[2]):
            # A provider may quote what it refuses.
            said = said.replace(secret, "(the key)") if secret else said
        if status == 429:
            after = retry_after_of(answer)
            when = "" if after is None else f" It asks to wait {after:.0f} s."
            return _Retry(ProviderRateLimitedError(f"{where} limits our requests (429).{when}{said}", after), after)
        if status in _RETRYABLE_STATUS:
            return _Retry(ProviderUnavailableError(f"{where} answered {status}.{said}", status), retry_after_of(answer))
        if status in (401, 403):
            return ProviderKeyError(f"{where} refused the key ({status}).{said} Check the key in the settings.")
        return ProviderRejectedError(f"{where} answered {status}.{said}", status)


class _Retry(Exception):
    def __init__(self, error: ProviderError, after: float | None = None) -> None:
        self.error = error
        self.after = after


def _read_exactly(content: bytes) -> Any:
    """The JSON value with its numbers as Decimal, never through a float.

    NaN and infinities are no JSON, but they are written; they stay words, which whoever reads an amount refuses.
    """
    return storable(json.loads(content, parse_float=Decimal, parse_constant=str), content)


def _said(answer: httpx.Response) -> str:
    """The provider's own message, shortened; "" where there is none."""
    try:
        body = read_told(answer.content)
    except (orjson.JSONDecodeError, RecursionError):
        return ""
    error = body.get("error") if isinstance(body, dict) else None
    message = error.get("message") if isinstance(error, dict) else None
    if message is None and isinstance(body, dict):
        # RFC 9457.
        message = body.get("detail")
    return f" It says: {message[:200]}." if isinstance(message, str) and message else ""


def retry_after_of(answer: httpx.Response) -> float | None:
    """Retry-After in seconds, from either of its two forms or a 429's own JSON; None where absent or unreadable."""
    raw = answer.headers.get("retry-after", "").strip()
    if not raw:
        return _told_wait(answer) if answer.status_code == 429 else None
    if raw.isascii() and raw.isdigit():
        return float(raw)
    try:
        return max(0.0, (parsedate_to_datetime(raw) - timezone.now()).total_seconds())
    except (TypeError, ValueError):
        return None


def _told_wait(answer: httpx.Response) -> float | None:
    """The `retry_after` of a JSON body, in seconds."""
    try:
        body = orjson.loads(answer.content)
    except (orjson.JSONDecodeError, httpx.ResponseNotRead):
        return None
    wait = body.get("retry_after") if isinstance(body, dict) else None
    return float(wait) if isinstance(wait, int | float) and not isinstance(wait, bool) and 0 <= wait < 86_400 else None
