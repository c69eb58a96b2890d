"""The same POST twice is one: the answer is kept with its key, in the transaction of what it tells of.

Errors are kept too, but those that a repetition may well not meet again (409, 429, 5xx). What was kept is given out for
24 hours.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import datetime, timedelta

from django.db import IntegrityError, transaction
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from genfeed.clients.errors import ApiError, error_response
from jobs.models import IdempotentAnswer
from pricing import sql

KEPT = timedelta(hours=24)
_NOT_KEPT = (409, 429)
_LONGEST = 255
# In the place of the status, while there is no answer yet.
_BEGUN = 0

# In the environment of a request whose key nobody chose: what was refused is looked at anew.
FORGETS_REFUSALS = "genfeed.forgets_refusals"

Keep = Callable[[int, bytes], None]


def key_of(request: HttpRequest) -> str:
    """The Idempotency-Key of a request, "" without one; raises ApiError for one that can't be kept.

    An empty one protects from nothing, though whoever sends it believes so.
    """
    sent = request.headers.get("Idempotency-Key")
    if sent is None:
        return ""
    key = sent.strip()
    if not 0 < len(key) <= _LONGEST or not key.isprintable():
        raise ApiError(
            "invalid_request",
            f"The Idempotency-Key must have 1 to {_LONGEST} printable characters.",
            "Use a random UUID for each thing that shall happen once.",
        )
    return key


def digest_of_request(request: HttpRequest) -> str:
    """SHA-256 of method, path and body: what must be the same for a repetition."""
    head = f"{request.method} {request.path}\n".encode()
    return hashlib.sha256(head + request.body).hexdigest()


def once(
    request: HttpRequest, client_id: int, work: Callable[[Keep], HttpResponse], *, digest: str = ""
) -> HttpResponse:
    """Does `work` once for the request's key, and answers repetitions with what it answered.

    `work` is given `keep(status, body)`, which it calls in its own transaction. Without a key it is simply done.
    `digest`: of what must be the same for a repetition, where the body itself may be written otherwise.
    """
    key = key_of(request)
    if not key:
        return work(lambda status, body: None)
    digest = digest or digest_of_request(request)
    if answer := _replay(client_id, key, digest):
        return answer
    try:
        return work(lambda status, body: _keep(client_id, key, digest, status, body))
    except IntegrityError:
        # Another request with the same key was faster; what this one did is undone.
        if answer := _replay(client_id, key, digest):
            return answer
        if begun(client_id, key):
            raise in_progress(retry_after=2) from None
        raise
    except ApiError as error:
        if error.status < 500 and error.status not in _NOT_KEPT and not request.META.get(FORGETS_REFUSALS):
            _keep_error(client_id, key, digest, error)
        raise


def begin(client_id: int, key: str, digest: str, subject: str) -> None:
    """Notes what a request under this key has begun, in the transaction that begins it; `complete` gives the answer.

    For work of several transactions: a repetition is done as well, finds by `begun` what there is, and goes on from
    there. Raises IntegrityError where another request with the same key has begun.
    """
    if key:
        _keep(client_id, key, digest, _BEGUN, subject.encode())


def begun(client_id: int, key: str) -> str:
    """What a request under this key has begun and not completed; "" for nothing."""
    row = IdempotentAnswer.objects.filter(client_id=client_id, key=key, status=_BEGUN).first() if key else None
    return row.body if row else ""


def complete(client_id: int, key: str, status: int, body: bytes) -> None:
    """Keeps the answer of what was begun."""
    if key:
        rows = IdempotentAnswer.objects.filter(client_id=client_id, key=key, status=_BEGUN)
        rows.update(status=status, body=body.decode())


def was_kept(client_id: int, key: str, *, since: datetime) -> bool:
    """Whether an answer under this key was kept since then."""
    return IdempotentAnswer.objects.filter(client_id=client_id, key=key, created_at__gt=since).exists()


def in_progress(*, retry_after: int) -> ApiError:
    """The answer to a repetition while the request itself is at work."""
    return ApiError(
        "idempotency_in_progress",
        "A request with this Idempotency-Key is at work.",
        "Repeat it after Retry-After seconds to get its answer.",
        retry_after=retry_after,
    )


def forget_old() -> int:
    """Deletes what is no longer given out; returns how many."""
    return IdempotentAnswer.objects.filter(created_at__lt=timezone.now() - KEPT).delete()[0]


def _replay(client_id: int, key: str, digest: str) -> HttpResponse | None:
    kept = IdempotentAnswer.objects.filter(client_id=client_id, key=key).first()
    if kept is None:
        return None
    if kept.created_at < timezone.now() - KEPT:
        IdempotentAnswer.objects.filter(pk=kept.pk, created_at=kept.created_at).delete()
        return None
    if kept.body_digest != digest:
        raise ApiError(
            "idempotency_key_reused",
            "This Idempotency-Key came before with another request.",
            "Use a new key for each new request; the same key repeats the same request.",
        )
    if kept.status == _BEGUN:
        return None
    answer = HttpResponse(kept.body.encode(), content_type="application/json", status=kept.status)
    answer.headers["Idempotent-Replayed"] = "true"
    return answer


def _keep(client_id: int, key: str, digest: str, status: int, body: bytes) -> None:
    answer = IdempotentAnswer(client_id=client_id, key=key, body_digest=digest, status=status, body=body.decode())
    sql.insert(answer)


def _keep_error(client_id: int, key: str, digest: str, error: ApiError) -> None:
    try:
        with transaction.atomic():
            _keep(client_id, key, digest, error.status, error_response(error).content)
    except IntegrityError:
        # A repetition was faster, with an answer of its own.
        pass
