"""What a submit says: the model in its address, the input as its body, and the rest in parameters and headers."""

from __future__ import annotations

import hashlib
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
from jobs.accepting.own_keys import HEADER
from jobs.accepting.webhook_urls import check_webhook_url
from jobs.models import Job, Status
from jobs.protocols.fal.webhooks import PROTOCOL
from pricing.estimates.addressing import find_model
from pricing.estimates.facts import facts_of

# In the details of a refusal that the request itself has asked for: no limit of ours was met.
ASKED_FOR = {"limit": "fal_max_queue_length", "of": "request"}
# In the metadata of a job that a page has asked for: the id of its token.
MADE_BY = "browser_token"
_LONGEST_URL = 2_000


def read_submit(request: HttpRequest, endpoint_id: str, caller: Caller, *, digest: str) -> tuple[Wanted, list[str]]:
    """The request of a job, and the paths of fields that its model does not know, which were dropped from it.

    `digest`: of `digest_of`. Raises ApiError.
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
    token = caller.token
    wanted = Wanted(
        model=endpoint_id,
        input=kept,
        webhook_url=_webhook_url(request),
        max_price=token.max_price if token else None,
        metadata={MADE_BY: token.id} if token else {},
        low_priority=request.headers.get("X-Fal-Queue-Priority", "").lower() == "low",
        idempotency_key=key_of(request),
        provider_key=_provider_key(request, caller),
        body_digest=digest,
        protocol=PROTOCOL,
    )
    return wanted, dropped


def digest_of(request: HttpRequest, caller: Caller) -> str:
    """SHA-256 of what must be the same for a repetition: parameters too, and the token of a page.

    Pages of one client share its keys for repetitions, and are to have none of each other's results.
    """
    whose = caller.token.id if caller.token else ""
    told = f"{digest_of_request(request)}\n{request.GET.urlencode()}\n{whose}"
    return hashlib.sha256(told.encode()).hexdigest()


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


def _webhook_url(request: HttpRequest) -> str:
    url = request.GET.get("fal_webhook", "")
    if len(url) > _LONGEST_URL:
        message = f"fal_webhook: the address has more than {_LONGEST_URL} characters."
        raise ApiError("invalid_request", message, "Send a shorter one.")
    return check_webhook_url(url, field="fal_webhook") if url else ""


def _provider_key(request: HttpRequest, caller: Caller) -> str:
    key = request.headers.get(HEADER, "").strip()
    if key and caller.token:
        hint = f"Leave it out, or have your server send the request with its own key and {HEADER}."
        raise ApiError("forbidden_scope", f"A page can bring no {HEADER}.", hint)
    return key


def _refuse_long_queue(request: HttpRequest, endpoint_id: str) -> None:
    most = request.GET.get("fal_max_queue_length")
    if most is None:
        return
    if not (most.isascii() and most.isdigit() and len(most) < 10):
        message = f"fal_max_queue_length: {most[:40]!r} is no number of requests."
        raise ApiError("invalid_request", message, "Send a whole number, or leave it out.")
    waiting = Job.objects.filter(status=Status.QUEUED, endpoint_id=endpoint_id).count()
    if waiting > int(most):
        message = f"{waiting} requests of {endpoint_id} wait, and at most {most} were allowed."
        raise ApiError("queue_full", message, "Try again later.", retry_after=5, details=dict(ASKED_FOR))
