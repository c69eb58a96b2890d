"""Usage and statements over HTTP, as JSON, CSV, and to print."""

import base64
import hashlib
from collections.abc import Sequence
from datetime import timedelta
from typing import Annotated, Any

import orjson
from django.conf import settings
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.utils import timezone as clock
from ninja import Path, Query, Router
from pydantic import Field

from genfeed.clients.answer_kinds import also_as
from genfeed.clients.auth import Identity, RequireScope
from genfeed.clients.errors import ApiError
from genfeed.clients.models import Client, check_timezone
from genfeed.clients.parameters import decode_cursor, encode_cursor, refuse_unknown_parameters
from pricing import api_money_shapes as shapes
from pricing.usage.days import BadDayError, local_day, read_day, read_month
from pricing.usage.rendering import balances_of, statement_csv, statement_json, usage_csv, usage_line
from pricing.usage.statements import statement_of
from pricing.usage.summary import COLUMNS, GROUPS, MOST_DAYS, MOST_GROUPS, Question, groups_of, total_of

usage_router = Router(auth=RequireScope("usage:read"), tags=["Money"])
_DEFAULT_DAYS = 30
_MOST_NAMES = 3
_TYPES = {"csv": "text/csv", "html": "text/html", "json": "application/json"}
Month = Annotated[str, Path(description="e.g. 2026-11"), Field(max_length=40)]


@usage_router.get(
    "/usage",
    response={200: shapes.UsageShape, **shapes.ERRORS},
    summary="Get usage",
    operation_id="get_usage",
    openapi_extra=also_as("text/csv"),
    by_alias=True,
)
def get_usage(request: HttpRequest, filters: Query[shapes.UsageFilters]) -> HttpResponse:
    """What your jobs were charged, in sums; with `Accept: text/csv` or `format=csv` all lines as a table.

    A test key's: what they would have been charged, as long as test jobs are kept.
    """
    refuse_unknown_parameters(request, shapes.UsageFilters)
    identity = _identity(request)
    asked = _question(identity, filters)
    with_costs = identity.is_admin or settings.GENFEED_MODE == "core"
    if _format(request, filters.format, ("json", "csv")) == "csv":
        groups = groups_of(asked, limit=MOST_GROUPS + 1)
        if len(groups) > MOST_GROUPS:
            raise _bad("group_by", f"This table has more than {MOST_GROUPS:,} lines.", "Ask for fewer days at once.")
        columns = [column for name in asked.group_by for column in COLUMNS[name]]
        return _file(usage_csv(groups, columns, with_costs=with_costs), "csv", f"usage-{asked.first}-{asked.last}.csv")
    offset = _offset(asked, filters.cursor)
    found = groups_of(asked, offset=offset, limit=filters.limit + 1)
    shown = found[: filters.limit]
    return _json(
        {
            "livemode": not asked.of_tests,
            "from": asked.first.isoformat(),
            "to": asked.last.isoformat(),
            "timezone": asked.timezone,
            "currency": "USD",
            "group_by": list(asked.group_by),
            "items": [usage_line(group.sums, group.of, with_costs=with_costs) for group in shown],
            "total": usage_line(total_of(asked), {}, with_costs=with_costs),
            "next_cursor": _cursor(asked, offset + len(shown)) if len(found) > len(shown) else None,
        }
    )


@usage_router.get(
    "/statements/{month}",
    response={200: shapes.StatementShape, **shapes.ERRORS},
    summary="Get the statement of a month",
    operation_id="get_statement",
    openapi_extra=also_as("text/csv", "text/html"),
)
def get_statement(request: HttpRequest, month: Month, filters: Query[shapes.StatementFilters]) -> HttpResponse:
    """What your balance was, what moved it, and what it became; with `format=csv` a table, `format=html` to print."""
    refuse_unknown_parameters(request, shapes.StatementFilters)
    client = Client.objects.get(pk=_identity(request).require_client().client_id)
    try:
        statement = statement_of(client, read_month(month))
    except BadDayError as error:
        raise _bad("month", str(error), "Ask for a month that has begun, as 2026-11.") from error
    wanted = _format(request, filters.format, ("json", "csv", "html"))
    if wanted == "csv":
        return _file(statement_csv(statement), "csv", f"statement-{statement.month}.csv")
    if wanted == "html":
        context = {"statement": statement, "sums": balances_of(statement)}
        return _file(render_to_string("pricing/statement.html", context, request=request), "html")
    return _json(statement_json(statement))


def _question(identity: Identity, filters: shapes.UsageFilters) -> Question:
    client = _client(identity, filters.client)
    timezone = filters.timezone or (client.timezone if client else "UTC")
    try:
        check_timezone(timezone)
    except ValidationError as error:
        raise _bad("timezone", error.messages[0], "Leave it out for the client's own.") from error
    try:
        last = read_day(filters.to) if filters.to is not None else local_day(clock.now(), timezone)
        first = read_day(filters.from_) if filters.from_ is not None else last - timedelta(days=_DEFAULT_DAYS - 1)
    except BadDayError as error:
        raise _bad("from, to", str(error), "Leave them out for the last 30 days.") from error
    if first > last:
        raise _bad("from, to", f"{first} is after {last}.", "Send the earlier day as from.")
    if (last - first).days >= MOST_DAYS:
        raise _bad("from, to", f"These are more than {MOST_DAYS} days.", "Ask for fewer days at once.")
    group_by = _group_by(filters.group_by, identity)
    is_test = client is not None and client.is_test
    return Question(client.pk if client else None, first, last, timezone, group_by, of_tests=is_test)


def _group_by(text: str, identity: Identity) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(","))
    known = [name for name in GROUPS if name != "client" or identity.is_admin]
    if unknown := [name for name in names if name not in known]:
        raise _bad("group_by", f"There is no {unknown[0]!r}.", f"Group by {', '.join(known)}.")
    if len(set(names)) != len(names) or len(names) > _MOST_NAMES:
        raise _bad("group_by", f"Up to {_MOST_NAMES} names, each once, are taken.", f"Group by {', '.join(known)}.")
    return names


def _client(identity: Identity, name: str | None) -> Client | None:
    """Whose usage is asked for; None: everybody's, which only staff and keys with scope admin may see."""
    if name is None and identity.key:
        return Client.objects.get(pk=identity.key.client_id)
    if not identity.is_admin:
        raise _bad("client", "Only the scope admin may ask for other clients.", "Leave it out.")
    identity.require("pricing.view_usagerecord")
    if name is None or name == "*":
        return None
    client = Client.objects.filter(name__iexact=name).first() if "\x00" not in name else None
    if client is None:
        raise _bad("client", "There is no such client.", "Send a client's name, or * for all.")
    return client


def _format(request: HttpRequest, asked: str | None, known: Sequence[str]) -> str:
    if asked:
        return asked
    types = {_TYPES[name]: name for name in known}
    # Without a header everything is fine, and the first is meant.
    return types.get(request.get_preferred_type(list(types)) or "", known[0])


def _cursor(asked: Question, offset: int) -> str:
    return f"{_digest(asked)}.{encode_cursor(offset)}"


def _offset(asked: Question, cursor: str | None) -> int:
    if cursor is None:
        return 0
    digest, _, number = cursor.partition(".")
    if digest != _digest(asked):
        raise _bad("cursor", "The cursor is not one that this question got.", "Start again without a cursor.")
    return min(decode_cursor(number), MOST_GROUPS)


def _digest(asked: Question) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(repr(asked).encode()).digest()[:6]).decode()


def _bad(path: str, message: str, hint: str) -> ApiError:
    return ApiError("invalid_request", f"{path}: {message}", hint)


def _identity(request: HttpRequest) -> Identity:
    return request.auth  # type: ignore[attr-defined]


def _file(text: str, kind: str, name: str = "") -> HttpResponse:
    response = HttpResponse(text, content_type=f"{_TYPES[kind]}; charset=utf-8")
    if name:
        response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return _private(response)


def _json(body: Any) -> HttpResponse:
    return _private(HttpResponse(orjson.dumps(body), content_type="application/json"))


def _private(response: HttpResponse) -> HttpResponse:
    response.headers["Cache-Control"] = "private, no-store"
    response.headers["Vary"] = "Accept"
    return response
