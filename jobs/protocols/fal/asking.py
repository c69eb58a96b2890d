"""What a submit says: the model in its address, the input as its body, and the rest in parameters and headers."""

from __future__ import annotations

from typing import Any

import orjson
from django.http import HttpRequest

from catalog import narrowing, published
from catalog.validating.tolerance import without_unknown
from genfeed.clients.errors import ApiError
from genfeed.clients.keys import Caller
from genfeed.net.bounded_json import read_json
from jobs.accepting.accept import Wanted
from jobs.accepting.idempotency import digest_of_request, key_of
from jobs.accepting.null_characters import refuse_null_characters
from jobs.accepting.webhook_urls import check_webhook_url
from jobs.models import Job, Status
from jobs.protocols.fal.webhooks import PROTOCOL
from pricing.estimates.addressing import find_model
from pricing.estimates.facts import facts_of

# In the metadata of a job that a page has asked for: the id of its token.
MADE_BY = "browser_token"


def read_submit(request: HttpRequest, endpoint_id: str, caller: Caller) -> tuple[Wanted, list[str]]:
    """The request of a job, and the paths of fields that its model does not know, which were dropped from it.

    Raises ApiError.
    """
    body = _body(request)
    refuse_null_characters({"input": body})
    entry = find_model(
        endpoint_id,
        is_admin=False,
        within=narrowing.narrowed(published.current(), caller),
        client_id=caller.live_id,
        counts=not caller.is_test,
    )
    _refuse_long_queue(request, entry.id)
    kept, dropped = without_unknown(facts_of(entry.pk).validator, body)
    webhook = request.GET.get("fal_webhook", "")
    token = caller.token
    wanted = Wanted(
        model=endpoint_id,
        input=kept,
        webhook_url=check_webhook_url(webhook[:2001], field="fal_webhook") if webhook else "",
        max_price=token.max_price if token else None,
        metadata={MADE_BY: token.id} if token else {},
        low_priority=request.headers.get("X-Fal-Queue-Priority", "").lower() == "low",
        idempotency_key=key_of(request),
        body_digest=digest_of_request(request),
        protocol=PROTOCOL,
    )
    return wanted, dropped


def start_seconds(request: HttpRequest) -> float | None:
    """How long a direct run may wait for its start (`X-Fal-Request-Timeout`), None for as long as it takes."""
    text = request.headers.get("X-Fal-Request-Timeout")
    if text is None:
        return None
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0.1 < seconds < 1e6:
        raise ApiError("invalid_request", "X-Fal-Request-Timeout must be a number of seconds above 0.1.", "Correct it.")
    return seconds


def _body(request: HttpRequest) -> Any:
    try:
        body = read_json(request.body or b"{}")
    except orjson.JSONDecodeError as error:
        raise ApiError("invalid_request", f"The body is no valid JSON: {error}.", "Send the input as JSON.") from None
    if not isinstance(body, dict):
        problem = {"path": "input", "code": "type", "message": "the body is no object", "hint": "send {…}"}
        raise ApiError("invalid_input", "The body is no object.", "Send {…}.", details={"problems": [problem]})
    return body


def _refuse_long_queue(request: HttpRequest, endpoint_id: str) -> None:
    most = request.GET.get("fal_max_queue_length", "")
    if not (most.isascii() and most.isdigit() and len(most) < 10):
        return
    waiting = Job.objects.filter(status=Status.QUEUED, endpoint_id=endpoint_id).count()
    if waiting > int(most):
        message = f"{waiting} requests of {endpoint_id} wait, and at most {most} were allowed."
        raise ApiError("queue_full", message, "Try again later.", retry_after=5)
