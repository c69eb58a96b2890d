"""Tokens for pages: short-lived, bound to an origin, for jobs alone, and never more than the key that made them.

Nothing is stored: a token is what it allows, sealed. It ends with its time, and with the key that made it.
"""

from __future__ import annotations

import secrets
from dataclasses import asdict, replace

import orjson
from django.http import HttpRequest
from django.utils import timezone

from genfeed.clients.auth import Identity, presented_key
from genfeed.clients.errors import ApiError
from genfeed.clients.keys import BrowserToken, Caller, caller_of, find_key
from genfeed.clients.limits.reads import limit_request
from genfeed.clients.limits.strangers import check_stranger, count_stranger
from genfeed.clients.restrictions import Patterns, Restriction
from genfeed.clients.sealing import CannotUnsealError, seal, unseal

PREFIX = "gfb_"
# Nothing else that is sealed here opens as a token, and no token as anything else.
_PURPOSE = "browser token"
SCOPES = ("jobs:write", "jobs:read")
_LONGEST = 20_000
_AGAIN = "Have your server ask for a new one at /api/v1/browser-tokens."


def make(
    caller: Caller,
    *,
    origin: str,
    seconds: int,
    models: tuple[str, ...] = (),
    max_price: int | None = None,
    has_ceiling: bool = False,
) -> tuple[str, BrowserToken]:
    """A token for pages of `origin`, and what it allows. `models` as in a key's list; `max_price` nano-USD a job."""
    expires_at = int(timezone.now().timestamp()) + seconds
    id = f"bt_{secrets.token_hex(12)}"
    token = BrowserToken(id, caller.key_id, expires_at, origin, models, max_price, has_ceiling)
    return PREFIX + seal(orjson.dumps(asdict(token)).decode(), purpose=_PURPOSE), token


def by_browser_token(request: HttpRequest) -> Identity | None:
    """The caller that a page's token stands for, None where the request carries none.

    Raises ApiError `unauthorized` for one that is no token, has passed, or whose key has ended, and `forbidden_scope`
    for one that came from another site.
    """
    text = presented_key(request)
    if not text.startswith(PREFIX):
        return None
    token = _read(text)
    if token is None:
        check_stranger(request)
        count_stranger(request)
        raise ApiError("unauthorized", "The browser token is none that was made here.", _AGAIN)
    if token.expires_at <= timezone.now().timestamp():
        raise ApiError("unauthorized", "The time of the browser token has passed.", _AGAIN)
    origin = request.headers.get("Origin")
    if origin is not None and origin != token.origin:
        raise ApiError("forbidden_scope", f"The browser token is for pages of {token.origin}.", _AGAIN)
    made_by = find_key(token.key_id)
    if made_by is None:
        raise ApiError("unauthorized", "The key that made the browser token has ended.", _AGAIN)
    caller = _narrowed(caller_of(made_by), token)
    limit_request(caller)
    return Identity(key=caller)


def _narrowed(caller: Caller, token: BrowserToken) -> Caller:
    own = caller.restriction
    if token.models:
        allowed = own.allowed if own else ()
        own = Restriction((*allowed, Patterns(token.models)), *((own.denied,) if own else ()))
    scopes = frozenset(scope for scope in SCOPES if caller.may(scope))
    return replace(caller, key_name=f"{caller.key_name} ({token.id})", scopes=scopes, restriction=own, token=token)


def _read(text: str) -> BrowserToken | None:
    if len(text) > _LONGEST:
        return None
    try:
        told = orjson.loads(unseal(text.removeprefix(PREFIX), purpose=_PURPOSE))
    except (CannotUnsealError, orjson.JSONDecodeError):
        return None
    return BrowserToken(**told | {"models": tuple(told["models"])})
