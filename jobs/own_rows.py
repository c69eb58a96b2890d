"""What all addresses do that show a client's own jobs, batches, workflows or templates: who asks, a page, one row."""

from __future__ import annotations

from typing import Any

import orjson
from django.conf import settings
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse

from genfeed.clients.auth import Identity
from genfeed.clients.errors import ApiError
from genfeed.clients.keys import Caller


def caller_of(request: HttpRequest) -> Caller:
    """Who asks. Raises ApiError for staff, whose session belongs to no client."""
    return _identity(request).require_client()


def shows_cost(request: HttpRequest) -> bool:
    """Whether the answer may tell what the provider charges."""
    return _identity(request).is_admin or settings.GENFEED_MODE == "core"


def page_of[Row: Model](rows: QuerySet[Row], *, cursor: str | None, limit: int) -> tuple[list[Row], str | None]:
    """A page of rows whose ids sort by time, the newest first, and the cursor of the next one, None on the last."""
    rows = rows.order_by("-pk")
    if cursor:
        rows = rows.filter(pk__lt=cursor.replace("\x00", ""))
    found = list(rows[: limit + 1])
    shown = found[:limit]
    return shown, shown[-1].pk if len(found) > limit else None


def find_own[Row: Model](rows: QuerySet[Row], address: str, request: HttpRequest, *, word: str, listed_at: str) -> Row:
    """The caller's own row; another client's is as unknown as one that does not exist. Raises ApiError `not_found`."""
    own = rows.filter(client_id=caller_of(request).client_id)
    row = own.filter(pk=address.replace("\x00", "")[:40]).first()
    if row is None:
        raise ApiError("not_found", f"There is no {word} {address[:60]!r}.", f"List yours at /api/v1/{listed_at}.")
    return row


def json_answer(body: Any) -> HttpResponse:
    """The body as JSON."""
    return HttpResponse(orjson.dumps(body), content_type="application/json")


def _identity(request: HttpRequest) -> Identity:
    identity: Identity = request.auth  # type: ignore[attr-defined]
    return identity
