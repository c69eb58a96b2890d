"""Repeating a call that may be repeated: exponential waits with full jitter, `Retry-After` honoured."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import httpx

from catalog.providers.queue import Answer, UnreachableError
from catalog.providers.reading import Backoff, retry_after_of


@dataclass(frozen=True)
class Retrying:
    """Tries again as `backoff` says."""

    backoff: Backoff
    sleep: Callable[[float], None] = field(default=time.sleep)

    def send(
        self,
        once: Callable[[], httpx.Response],
        *,
        call: str,
        is_final: Callable[[httpx.Response], bool] | None = None,
        answer_of: Callable[[str, httpx.Response], Answer] | None = None,
        wait_of: Callable[[httpx.Response], float | None] = retry_after_of,
    ) -> httpx.Response:
        """The first answer that is one. Raises UnreachableError after the last try, or where the wait would be long.

        `is_final` says of an answer that looks passing (5xx) that it is what was asked for. `answer_of` makes the
        record of the last answer, and `wait_of` reads how long the provider asks to wait.
        """
        attempt = 0
        while True:
            answer = wait = None
            try:
                response = once()
            except httpx.HTTPError as error:
                problem = type(error).__name__
            else:
                is_known = response.status_code != 429 and is_final is not None and is_final(response)
                if is_known or not _is_passing(response.status_code):
                    return response
                problem, answer, wait = (
                    f"HTTP {response.status_code}",
                    answer_of(call, response) if answer_of else Answer(call, response.status_code),
                    wait_of(response),
                )
            if attempt >= self.backoff.retries or (wait or 0) > self.backoff.cap:
                raise UnreachableError(f"no usable answer after {attempt + 1} tries: {problem}", answer, wait)
            self.sleep(self.backoff.seconds(attempt) if wait is None else wait)
            attempt += 1


def _is_passing(status: int) -> bool:
    """Whether an answer says nothing about the request itself, so that asking again may bring another."""
    return status in (408, 429) or status >= 500
