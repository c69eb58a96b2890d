"""Tokens for pages over HTTP: a client's own server asks for one, and hands it to its page."""

import re
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import orjson
from django.http import HttpRequest, HttpResponse
from ninja import Router, Schema
from pydantic import ConfigDict, Field

from catalog.api_shapes import ErrorShape
from genfeed.clients import browser_tokens
from genfeed.clients.auth import Identity, RequireScope
from genfeed.clients.errors import ApiError
from genfeed.clients.restrictions import BadListError, check_list
from genfeed.journal.times import rfc3339
from jobs.accepting.asking import read_price
from jobs.protocols.ceilings import set_ceiling
from pricing.money import format_usd

browser_tokens_router = Router(tags=["Keys"])

# A name, where it is not written in ASCII as browsers send it (xn--…), or an address.
_HOST = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*|[0-9a-f:.]+")
_ERRORS = dict.fromkeys((400, 401, 403, 404, 429), ErrorShape)


class BrowserTokenBody(Schema):
    """What the pages of one site may do, for some minutes."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"origin": "https://app.example.com"}})
    origin: str = Field(max_length=300, description="Of your pages, e.g. https://app.example.com.")
    seconds: int = Field(600, ge=60, le=3600, description="How long it is good for.")
    models: list[str] = Field(
        default_factory=list, max_length=100, description="Only these, a * at the end stands for anything; empty: all."
    )
    max_price: str | None = Field(None, max_length=40, description="USD a job at most, as a decimal string.")
    max_total: str | None = Field(None, max_length=40, description="USD that all its jobs together may cost at most.")


class BrowserTokenShape(Schema):
    token: str = Field(description="The token itself. It is stored nowhere and never shown again.")
    id: str = Field(description="bt_…; the metadata of its jobs carry it as browser_token.")
    origin: str
    expires_at: datetime
    models: list[str]
    max_price: str | None
    max_total: str | None


@browser_tokens_router.post(
    "/browser-tokens",
    auth=RequireScope("jobs:write"),
    response={201: BrowserTokenShape, **_ERRORS},
    summary="Make a token for a page",
    operation_id="create_browser_token",
)
def create_browser_token(request: HttpRequest, body: BrowserTokenBody) -> HttpResponse:
    """A short-lived token with which a page of `origin` runs models through `/fal/proxy`, and sees its own jobs alone.

    It may never do more than the calling key, counts against its limits, and ends with it.
    """
    identity: Identity = request.auth  # type: ignore[attr-defined]
    try:
        models = tuple(check_list(body.models))
    except BadListError as error:
        raise ApiError("invalid_request", f"models: {error}", "Correct it; nothing was made.") from None
    origin = _origin(body.origin)
    max_total = read_price(body.max_total, what="max_total")
    text, token = browser_tokens.make(
        identity.require_client(),
        origin=origin,
        seconds=body.seconds,
        models=models,
        max_price=read_price(body.max_price, what="max_price"),
        has_ceiling=max_total is not None,
    )
    if max_total is not None:
        set_ceiling(token, max_total)
    shown: dict[str, Any] = {
        "token": text,
        "id": token.id,
        "origin": token.origin,
        "expires_at": rfc3339(datetime.fromtimestamp(token.expires_at, UTC)),
        "models": list(token.models),
        "max_price": None if token.max_price is None else format_usd(token.max_price),
        "max_total": None if max_total is None else format_usd(max_total),
    }
    answer = HttpResponse(orjson.dumps(shown), content_type="application/json", status=201)
    answer.headers["Cache-Control"] = "no-store"
    return answer


def _origin(text: str) -> str:
    """The origin as browsers write it. Raises ApiError."""
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    plain = parts.path in ("", "/") and not (parts.query or parts.fragment or parts.username or parts.password)
    name = parts.hostname or ""
    if parts.scheme not in ("https", "http") or not plain or not _HOST.fullmatch(name):
        hint = "Send it as browsers do, e.g. https://app.example.com."
        raise ApiError("invalid_request", f"origin: {text[:100]!r} is no origin.", hint)
    usual = {"https": 443, "http": 80}[parts.scheme]
    host = f"[{name}]" if ":" in name else name
    return f"{parts.scheme}://{host}" + (f":{port}" if port not in (None, usual) else "")
