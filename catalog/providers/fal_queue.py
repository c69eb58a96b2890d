"""Running models at fal: its queue API. A submit is sent once and never repeated by this code; reads are repeated.

Facts about fal: HTTP 202 while a request waits or runs and 200 when it is completed; completed is not succeeded, the
result decides; the billed units stand only in the header of the result; all but the submit goes by owner and alias.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, BinaryIO
from urllib.parse import quote

import httpx
import orjson
from django.conf import settings

from catalog.providers import fal_keys, fal_webhooks, queue
from catalog.providers.calls import observed, send_once
from catalog.providers.connections import Connections
from catalog.providers.fal_answers import (
    answer_of,
    body_of,
    detail_of,
    is_locked,
    is_result_itself,
    read_logs,
    read_retryable,
    read_units,
)
from catalog.providers.fal_files import upload
from catalog.providers.fal_key_check import check_key
from catalog.providers.fal_requests import find_requests
from catalog.providers.queue import (
    FoundRequest,
    KeyRefusedError,
    LockedError,
    NotAcceptedError,
    Progress,
    RefusedError,
    Request,
    Result,
    Submitted,
    UnclearError,
    UnreachableError,
)
from catalog.providers.reading import Backoff, retry_after_of
from catalog.providers.retrying import Retrying

_STATES = {"IN_QUEUE": "queued", "IN_PROGRESS": "running", "COMPLETED": "completed"}
# Namespaces stand before owner and alias (fal's own clients).
_NAMESPACES = ("workflows", "comfy")


class FalQueue:
    """fal's queue with one key. Safe to use from several threads."""

    slug = "fal"

    def __init__(
        self,
        *,
        queue_url: str,
        platform_url: str,
        rest_url: str,
        key: str,
        retrying: Retrying,
        allow: Sequence[str] | None = None,
    ) -> None:
        """`allow`: hosts and ports that files may be sent to though they are not public; None: those of SSRF_ALLOW."""
        self._queue_url = queue_url
        self._platform_url = platform_url
        self._rest_url = rest_url
        self._allow = allow
        self._key = key
        self._retrying = retrying
        self._connections = Connections(
            headers={"Authorization": f"Key {key}"} if key else {}, timeout=settings.STATUS_TIMEOUT_SECONDS
        )

    def is_configured(self) -> bool:
        return bool(self._key)

    def close(self) -> None:
        self._connections.close()

    def submit(
        self,
        endpoint_id: str,
        input: dict[str, Any],
        *,
        version: str = "",
        webhook_url: str = "",
        low_priority: bool = False,
    ) -> Submitted:
        headers = {
            "Content-Type": "application/json",
            "X-Fal-Queue-Priority": "low" if low_priority else "normal",
            # fal's copy of the outputs need not outlive ours.
            "X-Fal-Object-Lifecycle-Preference": orjson.dumps(
                {"expiration_duration_seconds": settings.FAL_OBJECT_SECONDS}
            ).decode(),
        }
        response = send_once(
            lambda: self._call(
                "submit",
                "POST",
                f"{self._queue_url}/{endpoint_id}",
                content=orjson.dumps(input),
                params={"fal_webhook": webhook_url} if webhook_url else {},
                headers=headers,
                timeout=settings.SUBMIT_TIMEOUT_SECONDS,
            ),
            "fal",
        )
        return self._read_submit(endpoint_id, response)

    def _read_submit(self, endpoint_id: str, response: httpx.Response) -> Submitted:
        answer = answer_of("submit", response)
        status = response.status_code
        if status == 429 or (status == 503 and "x-fal-request-id" not in response.headers):
            wait = retry_after_of(response)
            raise NotAcceptedError(f"fal answered {status} to the submit.", answer, retry_after=wait)
        if is_locked(response):
            raise LockedError("fal has locked our account: its balance is exhausted.", answer)
        if status in (401, 403):
            raise KeyRefusedError(f"fal does not accept our key ({status}).", answer)
        if 400 <= status < 500 and status not in (408, 409):
            raise RefusedError(f"fal refused the request with {status}.", status, detail_of(response), answer)
        body = body_of(response)
        request_id = body.get("request_id") if isinstance(body, dict) else None
        if status >= 300 or not isinstance(request_id, str) or not request_id:
            raise UnclearError(f"fal answered {status} to the submit, without a request id.", answer)
        given = {"status": "status_url", "response": "response_url", "cancel": "cancel_url"}
        urls = {name: body[field] for name, field in given.items() if self._is_ours(body.get(field))}
        position = body.get("queue_position")
        return Submitted(
            Request(endpoint_id, request_id, urls), position if isinstance(position, int) else None, answer
        )

    def progress(self, request: Request, *, logs: bool = False) -> Progress:
        response = self._read("status", request, params={"logs": "1"} if logs else {})
        answer = answer_of("status", response)
        body = body_of(response)
        state = _STATES.get(str(body.get("status", ""))) if isinstance(body, dict) else None
        if response.status_code == 404:
            raise RefusedError("fal does not know the request.", 404, detail_of(response), answer)
        if state is None or response.status_code >= 300:
            raise UnreachableError(f"fal's status could not be read (HTTP {response.status_code}).", answer)
        position = body.get("queue_position")
        return Progress(
            state=state,
            position=position if isinstance(position, int) and position >= 0 else None,
            logs=read_logs(body.get("logs")),
            error=str(body.get("error") or "")[:500],
            error_type=str(body.get("error_type") or "")[:80],
            answer=answer,
        )

    def result(self, request: Request) -> Result:
        response = self._read("response", request, is_result=True)
        body = body_of(response)
        succeeded = 200 <= response.status_code < 300
        if succeeded and body is None:
            # Without a readable body there is nothing to deliver.
            raise UnreachableError("fal's result could not be read.", answer_of("result", response))
        return Result(
            status=response.status_code,
            output=body if succeeded else None,
            units=read_units(response),
            detail=None if succeeded else detail_of(response),
            error_type=response.headers.get("x-fal-error-type", "")[:80],
            retryable=read_retryable(response),
            answer=answer_of("result", response),
        )

    def cancel(self, request: Request) -> str:
        response = self._send("PUT", self._url("cancel", request), "cancel")
        body = body_of(response)
        said = str(body.get("status", "")) if isinstance(body, dict) else ""
        if response.status_code == 404 or said == "NOT_FOUND":
            return "unknown"
        if said == "ALREADY_COMPLETED" or response.status_code == 400:
            return "completed"
        if response.status_code >= 300:
            raise UnreachableError(f"fal answered {response.status_code} to the cancel.", answer_of("cancel", response))
        return "requested"

    def find(self, endpoint_id: str, *, since: datetime) -> list[FoundRequest]:
        return find_requests(
            lambda params: self._send(
                "GET", f"{self._platform_url}/models/requests/by-endpoint", "find", params=params
            ),
            endpoint_id,
            since=since,
        )

    def upload(self, file: BinaryIO, *, name: str, content_type: str, size: int) -> str:
        with self._connections.one() as client:
            return upload(
                client,
                file,
                name=name,
                content_type=content_type,
                size=size,
                rest_url=self._rest_url,
                allow=self._allow,
            )

    def erase(self, request_id: str) -> None:
        # fal lets only a key of scope ADMIN delete; the one that runs requests may be one.
        key = settings.FAL_ADMIN_KEY or self._key
        response = self._send(
            "DELETE",
            f"{self._platform_url}/models/requests/{quote(request_id, safe='')}/payloads",
            "erase",
            headers={"Authorization": f"Key {key}"},
        )
        if response.status_code >= 300 and response.status_code != 404:
            raise UnreachableError(
                f"fal answered {response.status_code} to the deletion.", answer_of("erase", response)
            )

    def _read(
        self, what: str, request: Request, *, params: dict[str, Any] | None = None, is_result: bool = False
    ) -> httpx.Response:
        return self._send("GET", self._url(what, request), what, params=params, is_result=is_result)

    def _send(
        self,
        method: str,
        url: str,
        call: str,
        *,
        params: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
        is_result: bool = False,
    ) -> httpx.Response:
        """A call that may be repeated. A result's 5xx may be the result: only what no result can be is repeated."""
        response = self._retrying.send(
            lambda: self._call(call, method, url, params=params or {}, headers=headers),
            call=call,
            is_final=is_result_itself if is_result else None,
            answer_of=answer_of,
        )
        if response.status_code == 401 or (response.status_code == 403 and not is_result):
            raise KeyRefusedError(f"fal does not accept our key ({response.status_code}).", answer_of(call, response))
        return response

    def _call(self, call: str, method: str, url: str, **more: Any) -> httpx.Response:
        with self._connections.one() as client:
            return observed(self.slug, call, lambda: client.request(method, url, **more))

    def _url(self, what: str, request: Request) -> str:
        if url := request.urls.get(what):
            return url
        base = f"{self._queue_url}/{app_of(request.endpoint_id)}/requests/{request.request_id}"
        return base if what == "response" else f"{base}/{what}"

    def _is_ours(self, url: Any) -> bool:
        # Our key goes to fal's queue and to no address that an answer names.
        return isinstance(url, str) and url.startswith(f"{self._queue_url}/")


def app_of(endpoint_id: str) -> str:
    """Owner and alias of an endpoint id, by which requests are addressed: fal-ai/flux/dev → fal-ai/flux."""
    parts = endpoint_id.split("/")
    return "/".join(parts[: 3 if parts[0] in _NAMESPACES else 2])


def open_fal_queue(key: str | None) -> FalQueue:
    """fal's queue as the settings say, with `key` or the operator's own."""
    return FalQueue(
        queue_url=settings.FAL_QUEUE_URL,
        platform_url=settings.FAL_PLATFORM_URL,
        rest_url=settings.FAL_REST_URL,
        key=settings.FAL_KEY if key is None else key,
        retrying=Retrying(Backoff(settings.FAL_MAX_RETRIES, settings.FAL_RETRY_DELAY)),
    )


queue.register(
    "fal",
    open_fal_queue,
    lambda: bool(settings.FAL_KEY),
    queue.Terms(
        key_setting="FAL_KEY",
        most_at_once=lambda: settings.FAL_MAX_CONCURRENT,
        verify=fal_webhooks.verify,
        check_key=check_key,
        keeps_files=lambda: (settings.FAL_OBJECT_SECONDS, "FAL_OBJECT_SECONDS"),
        get_ready=lambda: fal_keys.key_set.keys(),
    ),
)
