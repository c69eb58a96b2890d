"""Running models at Replicate: predictions are created once, looked at, canceled, and looked for where one may be lost.

There is no idempotency key. Inputs are checked at once, so a refusal comes with the submit. Outputs are deleted after
an hour; jobs store theirs at once.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, BinaryIO

import httpx
import orjson
from django.conf import settings

from catalog.providers import queue, replicate_webhooks
from catalog.providers.calls import observed, send_once
from catalog.providers.connections import Connections
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
    VersionGoneError,
)
from catalog.providers.reading import Backoff, retry_after_of
from catalog.providers.replicate_answers import (
    STATES,
    answer_of,
    body_of,
    counts_of,
    detail_of,
    failure_of,
    logs_of,
    moment,
)
from catalog.providers.replicate_key_check import check_key
from catalog.providers.replicate_schemas import OUTPUT
from catalog.providers.retrying import Retrying

_SKEW = timedelta(seconds=60)
_MOST_PAGES = 20
# Input, output and files of what came over its API.
_KEEPS_SECONDS = 3_600
# The title of the problem, which stands for its kind.
_VERSION_GONE = "Invalid version or not permitted"
_UPLOAD_TIMEOUT = httpx.Timeout(30.0, write=60.0, read=120.0)


class ReplicateQueue:
    """Replicate's predictions with one key. Safe to use from several threads."""

    slug = "replicate"

    def __init__(self, *, url: str, key: str, retrying: Retrying) -> None:
        self._url = url
        self._key = key
        self._retrying = retrying
        self._connections = Connections(
            headers={"Authorization": f"Bearer {key}"} if key else {}, timeout=settings.STATUS_TIMEOUT_SECONDS
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
        """With a version that one is run, exactly; without one (official models) whatever the name stands for now."""
        path = "/predictions" if version else f"/models/{endpoint_id}/predictions"
        asked: dict[str, Any] = {"input": input, **({"version": version} if version else {})}
        if webhook_url.startswith("https://") or (webhook_url and self._url.startswith("http://")):
            # Replicate refuses requests whose webhook is none of https.
            asked |= {"webhook": webhook_url, "webhook_events_filter": ["completed"]}
        response = send_once(
            lambda: self._call(
                "submit",
                "POST",
                path,
                content=orjson.dumps(asked),
                headers={"Content-Type": "application/json"},
                timeout=settings.SUBMIT_TIMEOUT_SECONDS,
            ),
            "Replicate",
        )
        return self._read_submit(endpoint_id, response)

    def _read_submit(self, endpoint_id: str, response: httpx.Response) -> Submitted:
        answer, status = answer_of("submit", response), response.status_code
        if status == 429:
            raise NotAcceptedError("Replicate limits our requests.", answer, retry_after=retry_after_of(response))
        if status == 402:
            raise LockedError("Our credit at Replicate is insufficient.", answer)
        if status in (401, 403):
            raise KeyRefusedError(f"Replicate does not accept our key ({status}).", answer)
        if status == 422 and body_of(response).get("title") == _VERSION_GONE:
            raise VersionGoneError("Replicate no longer has the version.", status, detail_of(response), answer)
        if 400 <= status < 500 and status not in (408, 409):
            raise RefusedError(f"Replicate refused the request with {status}.", status, detail_of(response), answer)
        request_id = body_of(response).get("id")
        if status >= 300 or not isinstance(request_id, str) or not request_id:
            raise UnclearError(f"Replicate answered {status} to the submit, without an id.", answer)
        return Submitted(Request(endpoint_id, request_id[:80]), None, answer)

    def progress(self, request: Request, *, logs: bool = False) -> Progress:
        prediction, response = self._prediction(request, "status")
        return Progress(
            # What has outputs while it is still said to run has no metrics yet: it is looked at again.
            state=STATES[prediction["status"]],
            position=None,
            logs=logs_of(prediction) if logs else [],
            error=str(prediction.get("error") or "")[:500],
            error_type="",
            answer=answer_of("status", response),
        )

    def result(self, request: Request) -> Result:
        prediction, response = self._prediction(request, "result")
        answer, counts = answer_of("result", response), counts_of(prediction)
        if prediction["status"] == "succeeded" and not prediction.get("data_removed"):
            return Result(200, {OUTPUT: prediction.get("output")}, None, None, "", None, answer, counts)
        if prediction["status"] == "succeeded":
            return Result(500, None, None, "Replicate has deleted the outputs already.", "", False, answer, counts)
        status, kind = failure_of(prediction)
        detail = str(prediction.get("error") or prediction["status"])[:2000]
        return Result(status, None, None, detail, kind, None, answer, counts)

    def cancel(self, request: Request) -> str:
        response = self._send("POST", f"/predictions/{request.request_id}/cancel", "cancel")
        if response.status_code == 404:
            return "unknown"
        if response.status_code >= 300:
            answer = answer_of("cancel", response)
            raise UnreachableError(f"Replicate answered {response.status_code} to the cancel.", answer)
        return "completed" if body_of(response).get("status") in ("succeeded", "failed") else "requested"

    def find(self, endpoint_id: str, *, since: datetime) -> list[FoundRequest]:
        after = (since - _SKEW).astimezone(UTC).isoformat().replace("+00:00", "Z")
        params: dict[str, str] = {"created_after": after}
        found, path = [], "/predictions"
        for _ in range(_MOST_PAGES):
            response = self._send("GET", path, "find", params=params)
            body = body_of(response)
            if response.status_code >= 300 or not isinstance(body.get("results"), list):
                raise UnreachableError(
                    "Replicate's list of predictions could not be read.", answer_of("find", response)
                )
            rows = [row for row in body["results"] if isinstance(row, dict) and row.get("id")]
            found += [_found(row, endpoint_id) for row in rows if _may_be_of(row, endpoint_id)]
            following = body.get("next")
            if not following:
                return found
            if not isinstance(following, str) or not following.startswith(f"{self._url}/"):
                break
            path, params = following.removeprefix(self._url), {}
        # What is missing in half a list may still be running.
        raise UnreachableError("Replicate's list of predictions could not be read to its end.")

    def upload(self, file: BinaryIO, *, name: str, content_type: str, size: int) -> str:
        try:
            response = self._call(
                "upload", "POST", "/files", files={"content": (name, file, content_type)}, timeout=_UPLOAD_TIMEOUT
            )
        except httpx.HTTPError as error:
            raise UnreachableError(f"Replicate's storage could not be reached: {type(error).__name__}") from error
        answer, status = answer_of("upload", response), response.status_code
        if status in (401, 403):
            raise KeyRefusedError(f"Replicate does not accept our key ({status}).", answer)
        if 400 <= status < 500 and status not in (408, 429):
            raise RefusedError(f"Replicate refused the file with {status}.", status, detail_of(response), answer)
        urls = body_of(response).get("urls")
        address = urls.get("get") if isinstance(urls, dict) else None
        if status >= 300 or not isinstance(address, str):
            raise UnreachableError(f"Replicate's storage answered {status}.", answer)
        return address

    def erase(self, request_id: str) -> None:
        """Nothing to ask for: Replicate deletes input, output and files of what came over its API after an hour."""

    def _prediction(self, request: Request, call: str) -> tuple[dict[str, Any], httpx.Response]:
        response = self._send("GET", f"/predictions/{request.request_id}", call)
        if response.status_code == 404:
            answer = answer_of(call, response)
            raise RefusedError("Replicate does not know the prediction.", 404, detail_of(response), answer)
        body = body_of(response)
        if response.status_code >= 300 or body.get("status") not in STATES:
            raise UnreachableError(
                f"Replicate's prediction could not be read (HTTP {response.status_code}).", answer_of(call, response)
            )
        return body, response

    def _send(self, method: str, path: str, call: str, **more: Any) -> httpx.Response:
        """A call that may be repeated."""
        response = self._retrying.send(lambda: self._call(call, method, path, **more), call=call, answer_of=answer_of)
        if response.status_code in (401, 403):
            answer = answer_of(call, response)
            raise KeyRefusedError(f"Replicate does not accept our key ({response.status_code}).", answer)
        return response

    def _call(self, call: str, method: str, path: str, **more: Any) -> httpx.Response:
        with self._connections.one() as client:
            return observed(self.slug, call, lambda: client.request(method, f"{self._url}{path}", **more))


def _may_be_of(row: dict[str, Any], endpoint_id: str) -> bool:
    """Official models may answer under an internal name of Replicate's own."""
    model = str(row.get("model", ""))
    return model == endpoint_id or model.startswith("replicate/")


def _found(row: dict[str, Any], endpoint_id: str) -> FoundRequest:
    return FoundRequest(
        request_id=str(row["id"])[:80],
        endpoint_id=endpoint_id,
        sent_at=moment(row.get("created_at")),
        input=row.get("input"),
        ended=bool(row.get("completed_at")),
    )


def open_replicate_queue(key: str | None) -> ReplicateQueue:
    """Replicate's predictions as the settings say, with `key` or the operator's own."""
    return ReplicateQueue(
        url=settings.REPLICATE_URL,
        key=settings.REPLICATE_API_TOKEN if key is None else key,
        retrying=Retrying(Backoff(settings.REPLICATE_MAX_RETRIES, settings.REPLICATE_RETRY_DELAY)),
    )


queue.register(
    "replicate",
    open_replicate_queue,
    lambda: bool(settings.REPLICATE_API_TOKEN),
    queue.Terms(
        key_setting="REPLICATE_API_TOKEN",
        most_at_once=lambda: settings.REPLICATE_MAX_CONCURRENT,
        verify=replicate_webhooks.verify,
        get_ready=replicate_webhooks.secret.known,
        # With one secret for each account, of which the operator's alone is known.
        signs_for_all=False,
        check_key=check_key,
        keeps_files=lambda: (_KEEPS_SECONDS, ""),
    ),
)
