"""Repeating a call that may be repeated: exponential waits with full jitter, `Retry-After` honoured."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import httpx

from catalog.providers.fal_answers import answer_of
from catalog.providers.queue import UnreachableError
from catalog.providers.reading import Backoff, retry_after_of


@dataclass(frozen=True)
class Retrying:
    """Tries again as `backoff` says."""

    backoff: Backoff
    sleep: Callable[[float], None] = field(default=time.sleep)

    def send(self, once: Callable[[], httpx.Response], *, call: str, is_result: bool = False) -> httpx.Response:
        """The first answer that is one. Raises UnreachableError after the last try, or where the wait would be long."""
        attempt = 0
        while True:
            answer = wait = None
            try:
                response = once()
            except httpx.HTTPError as error:
                problem = type(error).__name__
            else:
                if not _is_passing(response, is_result=is_result):
                    return response
                problem, answer, wait = (
                    f"HTTP {response.status_code}",
                    answer_of(call, response),
                    retry_after_of(response),
                )
            if attempt >= self.backoff.retries or (wait or 0) > self.backoff.cap:
                raise UnreachableError(f"no usable answer after {attempt + 1} tries: {problem}", answer, wait)
            self.sleep(self.backoff.seconds(attempt) if wait is None else wait)
            attempt += 1


def _is_passing(response: httpx.Response, *, is_result: bool) -> bool:
    """Whether an answer says nothing about the request itself, so that asking again may bring another.

    A result may be a 5xx: then it bears the id of its request, or the type of its error.
    """
    status = response.status_code
    if is_result and ("x-fal-request-id" in response.headers or "x-fal-error-type" in response.headers):
        return status == 429
    return status in (408, 429) or status >= 500
