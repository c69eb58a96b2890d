"""Running test jobs: on the installation's own sandbox, whatever provider the model is of.

A sandbox knows no installation's catalog, so that each request brings the model's document along; and what shall
happen to it. Nothing of it counts as a call to a provider, and no provider's key goes there.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Self
from urllib.parse import urlsplit

import httpx
import orjson
from django.conf import settings

from catalog.providers.calls import send_once
from catalog.providers.fal_queue import FalQueue
from catalog.providers.queue import FoundRequest, Request, Submitted
from catalog.providers.reading import Backoff
from catalog.providers.retrying import Retrying

# Published: it opens nothing but a sandbox, and there an account of its own.
_KEY = "sandbox-test:sandbox-secret"
_LONGEST_WAIT = 0.5
# Where requests are that bring their model along.
_PLACE = "given"


class SandboxQueue(FalQueue):
    """The sandbox's queue for the models of one provider. Safe to use from several threads."""

    def __init__(self, provider: str, *, url: str) -> None:
        super().__init__(
            queue_url=f"{url}/queue",
            platform_url=f"{url}/v1",
            rest_url=f"{url}/rest",
            key=_KEY,
            retrying=Retrying(Backoff(settings.FAL_MAX_RETRIES, min(settings.FAL_RETRY_DELAY, _LONGEST_WAIT))),
            allow=allowed_here(),
        )
        self._place = f"{_PLACE}/{provider}"
        self._submit_url = f"{url}/{self._place}"
        self._document: Mapping[str, Any] = {}
        self._effects: Mapping[str, Any] = {}

    def with_model(self, document: Mapping[str, Any], effects: Mapping[str, Any]) -> Self:
        """The same queue, with the same connections, for one submit: of this model, with these effects."""
        one = copy.copy(self)
        one._document, one._effects = document, effects
        return one

    def submit(
        self,
        endpoint_id: str,
        input: dict[str, Any],
        *,
        version: str = "",
        webhook_url: str = "",
        low_priority: bool = False,
    ) -> Submitted:
        body = {"openapi": self._document, "effects": self._effects, "input": input}
        response = send_once(
            lambda: self._call(
                "submit",
                "POST",
                f"{self._submit_url}/{endpoint_id}",
                content=orjson.dumps(body),
                headers={"X-Fal-Queue-Priority": "low" if low_priority else "normal"},
                timeout=settings.SUBMIT_TIMEOUT_SECONDS,
            ),
            "the test sandbox",
        )
        return self._read_submit(endpoint_id, response)

    def find(self, endpoint_id: str, *, since: datetime) -> list[FoundRequest]:
        return super().find(f"{self._place}/{endpoint_id}", since=since)

    def erase(self, request_id: str) -> None:
        # The sandbox forgets by itself, within an hour.
        return

    def _call(self, call: str, method: str, url: str, **more: Any) -> httpx.Response:
        with self._connections.one() as client:
            return client.request(method, url, **more)

    def _url(self, what: str, request: Request) -> str:
        if url := request.urls.get(what):
            return url
        base = f"{self._queue_url}/{self._place}/requests/{request.request_id}"
        return base if what == "response" else f"{base}/{what}"


def is_there() -> bool:
    """Whether there is a sandbox to run test jobs on."""
    return bool(settings.TEST_SANDBOX_URL)


def open_sandbox(provider: str) -> SandboxQueue:
    """The sandbox's queue for the models of a provider."""
    return SandboxQueue(provider, url=settings.TEST_SANDBOX_URL)


def allowed_here() -> list[str]:
    """What may be fetched for test jobs, `host:port`: beside what may be fetched for all, the sandbox."""
    sandbox = urlsplit(settings.TEST_SANDBOX_URL)
    port = sandbox.port or (443 if sandbox.scheme == "https" else 80)
    return [*settings.SSRF_ALLOW, *([f"{sandbox.hostname}:{port}"] if sandbox.hostname else [])]
