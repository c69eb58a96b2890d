"""Answers that follow from who asks and from the catalog's revision alone, given again by the event loop.

The same lists are asked for over and over. What Django answered is kept with whom it was for, and as long as this
process knows, without the database, that the key, its limits and the catalog are as they were, the next such request
gets it again, with what is its own: id, limits, the catalog's age, log line, count. Everything else goes to Django;
every refusal does.
"""

from __future__ import annotations

import logging
import time
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from threading import Lock
from typing import Any

from django.http import HttpRequest, HttpResponse

from catalog import api_status, published, upstreams
from genfeed import metrics
from genfeed.clients import keys, uses
from genfeed.clients.keys import Caller
from genfeed.clients.limits import reads, telling
from genfeed.front.serving import ADDRESS, Known
from genfeed.journal import request_ids

logger = logging.getLogger("genfeed.requests")

_BELOW = "/api/v1/models"
# As many as a process renders of a revision; the bodies are mostly the same bytes.
_KEPT_AT_MOST = 256
# What a request may carry beside that changes no answer; one that carries anything else is Django's.
_WITHOUT_EFFECT = frozenset(
    {
        b"accept", b"accept-encoding", b"accept-language", b"cache-control", b"connection", b"pragma", b"priority",
        b"te", b"traceparent", b"tracestate", b"user-agent", b"x-forwarded-for", b"x-real-ip",
    }
)  # fmt: skip
_TELLING = frozenset({b"authorization", b"host", b"if-none-match", b"x-api-key", b"x-forwarded-proto", b"x-request-id"})
# New in every answer.
_OWN = frozenset({"x-request-id", "ratelimit", "ratelimit-policy", *(name.lower() for name in api_status.AGE_HEADERS)})

# The digest of the key, and all else that an answer may depend on.
Address = tuple[str, str, bytes, str, bytes, bytes, bytes]


@dataclass(slots=True)
class _Kept:
    revision: int
    caller: Caller
    route: str
    actor: str
    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes


_kept: OrderedDict[Address, _Kept] = OrderedDict()
_lock = Lock()


def ahead(scope: Mapping[str, Any]) -> tuple[Known | None, Address | None]:
    """The answer, where it is known, and the address to keep Django's answer under, where it may be asked for again.

    For the event loop: it asks no database and waits for nobody.
    """
    if scope["method"] != "GET" or not scope["path"].startswith(_BELOW):
        return None, None
    told: dict[bytes, bytes] = {}
    for name, value in scope["headers"]:
        if name in _TELLING and name not in told:
            told[name] = value
        elif name not in _WITHOUT_EFFECT:
            return None, None
    key = _key_in(told)
    if not key:
        return None, None
    address = (
        keys.digest_of(key), scope["path"], scope["query_string"], scope.get("scheme", "http"),
        told.get(b"host", b""), told.get(b"x-forwarded-proto", b""), told.get(b"if-none-match", b""),
    )  # fmt: skip
    return _again(address, told.get(b"x-request-id")), address


def keep(request: HttpRequest, response: HttpResponse, route: str) -> None:
    """Keeps an answer that says of which revision it is, for the next request like it."""
    revision, address = getattr(response, "revision", None), request.META.get(ADDRESS)
    caller = getattr(getattr(request, "identity", None), "key", None)
    if revision is None or address is None or caller is None or response.cookies:
        return
    headers = [(name, value) for name, value in response.items() if name.lower() not in _OWN]
    made = _Kept(
        revision, caller, route, request.identity.actor.name,  # type: ignore[attr-defined]
        response.status_code, _encoded(headers), response.content,
    )  # fmt: skip
    with _lock:
        _kept.pop(address, None)
        _kept[address] = made
        if len(_kept) > _KEPT_AT_MOST:
            _kept.popitem(last=False)


def forget() -> None:
    """Forgets all answers, for tests."""
    _kept.clear()


def _again(address: Address, offered_id: bytes | None) -> Known | None:
    kept = _kept.get(address)
    if kept is None or published.known_revision() != kept.revision:
        return None
    standing, caller = upstreams.known(), keys.known_caller(address[0])
    if standing is None or caller is None or caller != kept.caller:
        return None
    started = time.perf_counter()
    telling.begin()
    if not reads.try_request(caller):
        return None
    # The key is looked up anew every other second: the next comparison is one of identity again.
    kept.caller = caller
    uses.count(caller.key_id)
    request_id = request_ids.begin(offered_id.decode("latin-1") if offered_id else None)
    own = {**api_status.age_headers(standing), "x-request-id": request_id, **telling.headers()}
    seconds = time.perf_counter() - started
    metrics.observe_request("GET", kept.route, kept.status, seconds)
    logger.info(
        "request",
        extra={
            "method": "GET", "path": address[1], "status": kept.status,
            "ms": round(seconds * 1000, 2), "caller": kept.actor,
        },
    )  # fmt: skip
    return kept.status, kept.headers + _encoded(own.items()), kept.body


def _key_in(told: Mapping[bytes, bytes]) -> str:
    """The key as `auth.presented_key` reads it; "" where Django is to say what it makes of it."""
    if header := told.get(b"authorization"):
        scheme, _, token = header.decode("latin-1").partition(" ")
        return token.strip() if scheme.lower() in ("bearer", "key") else ""
    return told.get(b"x-api-key", b"").decode("latin-1").strip()


def _encoded(headers: Iterable[tuple[str, str]]) -> list[tuple[bytes, bytes]]:
    return [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]
