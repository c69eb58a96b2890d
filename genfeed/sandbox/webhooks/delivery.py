"""Sending webhooks: 2xx is an acknowledgement, a redirect is the end, everything else is tried again."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Coroutine
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import orjson

from genfeed.sandbox.effects import Effects
from genfeed.sandbox.queue.request import QueuedRequest
from genfeed.sandbox.webhooks.posting import Poster, PostError
from genfeed.sandbox.webhooks.signing import USER_ID

if TYPE_CHECKING:
    from genfeed.sandbox.state import Sandbox

FIRST_TIMEOUT, LATER_TIMEOUT = 15.0, 120.0
JSON_HEADERS = {"content-type": "application/json", "user-agent": "sandbox"}
KEPT = 5_000
AT_ONCE = 64
NOT_JSON = (
    "Response payload is not JSON serializable. Either return a JSON serializable object or use the queue endpoint."
)


@dataclass(slots=True)
class Attempt:
    """One delivery: `status` None means that nobody answered; `seconds` until an answer came."""

    request_id: str
    url: str
    at: float
    number: int
    status: int | None = None
    error: str | None = None
    seconds: float | None = None


@dataclass(slots=True)
class Courier:
    """Delivers in the background. `held` are those that wait to be sent in another order."""

    poster: Poster = field(default_factory=Poster)
    tasks: set[asyncio.Task[None]] = field(default_factory=set)
    attempts: deque[Attempt] = field(default_factory=lambda: deque(maxlen=KEPT))
    held: list[QueuedRequest] = field(default_factory=list)
    gate: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))

    def deliver(self, sandbox: Sandbox, request: QueuedRequest) -> None:
        """Send the webhook of a finished request, as its effects say."""
        if request.effects.get("webhook_lost"):
            return
        if sandbox.faults.webhook_shuffle:
            self.held.append(request)
            if len(self.held) < sandbox.faults.webhook_shuffle:
                return
            batch, self.held = self.held[::-1], []
            self._begin(self._deliver_in_turn(sandbox, batch))
            return
        for _ in range(request.effects.get("webhook_copies", 1)):
            self._begin(self._deliver(sandbox, request, request.effects))

    def send_again(self, sandbox: Sandbox, request: QueuedRequest, effects: Effects) -> None:
        """Send the webhook of a finished request once more, under other effects."""
        self._begin(self._deliver(sandbox, request, effects))

    def to_json(self) -> list[dict[str, Any]]:
        """The attempts so far, oldest first."""
        return [asdict(attempt) for attempt in self.attempts]

    def close(self) -> None:
        """Stop all deliveries."""
        for task in self.tasks:
            task.cancel()

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def _deliver_in_turn(self, sandbox: Sandbox, batch: list[QueuedRequest]) -> None:
        for request in batch:
            await self._deliver(sandbox, request, request.effects)

    async def _deliver(self, sandbox: Sandbox, request: QueuedRequest, effects: Effects) -> None:
        if request.options.webhook is None or request.outcome is None:
            return
        await asyncio.sleep(effects.get("webhook_after", 0))
        body = webhook_body(request, effects)
        for number, wait in enumerate((0.0, *sandbox.faults.webhook_retries)):
            await asyncio.sleep(wait)
            attempt = Attempt(request.request_id, request.options.webhook, time.time(), number)
            self.attempts.append(attempt)
            async with self.gate:
                await self._send(sandbox, attempt, body, effects)
            if attempt.status is not None and 200 <= attempt.status < 400:
                return

    async def _send(self, sandbox: Sandbox, attempt: Attempt, body: bytes, effects: Effects) -> None:
        """One attempt. A redelivery has a timestamp and a signature of its own."""
        headers = sandbox.signer.headers(
            attempt.request_id,
            body,
            now=time.time() - effects.get("webhook_age", 0),
            user_id=effects.get("webhook_account", USER_ID),
            is_forged=effects.get("webhook_forged", False),
        )
        timeout = FIRST_TIMEOUT if attempt.number == 0 else LATER_TIMEOUT
        try:
            begun = time.perf_counter()
            attempt.status = await self.poster.post(attempt.url, body, headers | JSON_HEADERS, timeout=timeout)
            attempt.seconds = time.perf_counter() - begun
        except PostError as error:
            attempt.error = str(error)


def webhook_body(request: QueuedRequest, effects: Effects) -> bytes:
    """The body: OK with the output, OK without one that could be written as JSON, or ERROR with the detail."""
    outcome = request.outcome
    if outcome is None:
        raise ValueError("only a finished request has a webhook")
    body: dict[str, Any] = {"request_id": request.request_id, "gateway_request_id": request.gateway_id}
    if not outcome.is_good:
        error = outcome.error or f"Invalid status code: {outcome.status}"
        return orjson.dumps(body | {"status": "ERROR", "error": error, "payload": outcome.payload})
    if effects.get("webhook_payload_error"):
        return orjson.dumps(body | {"status": "OK", "payload": None, "error": None, "payload_error": NOT_JSON})
    return orjson.dumps(body | {"status": "OK", "error": None, "payload": orjson.Fragment(outcome.body)})
