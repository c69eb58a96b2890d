"""Our own API, asked within the process: whoever calls a tool meets the same checks and limits as over HTTP."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import Any
from urllib.parse import urlencode

import orjson
from django.core.handlers.wsgi import WSGIHandler
from django.db import close_old_connections
from django.utils import timezone

from jobs.accepting.idempotency import FORGETS_REFUSALS, was_kept

# Who calls, from where, and how the request is found in the log.
_CARRIED = (
    "HTTP_AUTHORIZATION", "HTTP_X_API_KEY", "HTTP_HOST", "HTTP_X_FORWARDED_FOR", "HTTP_X_FORWARDED_PROTO",
    "REMOTE_ADDR", "SERVER_NAME", "SERVER_PORT", "wsgi.url_scheme",
)  # fmt: skip
_threads = ThreadPoolExecutor(4, thread_name_prefix="agents")


@dataclass(frozen=True, slots=True)
class Call:
    """One request to the API. `forgets_refusals`: a repetition of what was refused is looked at anew."""

    method: str
    path: str
    query: Mapping[str, Any] | None = None
    body: Mapping[str, Any] | None = None
    idempotency_key: str = ""
    forgets_refusals: bool = False


@dataclass(frozen=True, slots=True)
class Told:
    """Its answer: the status, the JSON, whether it was given before, and when to ask again (seconds, 0: not told)."""

    status: int
    body: Any
    is_repeated: bool = False
    retry_after: int = 0


async def ask(outer: Mapping[str, Any], call: Call) -> Told:
    """Asks the API in a thread, as whoever sent the request with the environment `outer`."""
    return await asyncio.get_running_loop().run_in_executor(_threads, _ask, outer, call)


async def was_answered(client_id: int, key: str, *, seconds: float) -> bool:
    """Whether a request under this Idempotency-Key was answered in the last `seconds`."""
    return await asyncio.get_running_loop().run_in_executor(_threads, _was_answered, client_id, key, seconds)


def _was_answered(client_id: int, key: str, seconds: float) -> bool:
    close_old_connections()
    return was_kept(client_id, key, since=timezone.now() - timedelta(seconds=seconds))


def _ask(outer: Mapping[str, Any], call: Call) -> Told:
    body = b"" if call.body is None else orjson.dumps(call.body)
    given = {name: value for name, value in (call.query or {}).items() if value is not None}
    environ: dict[str, Any] = {name: outer[name] for name in _CARRIED if name in outer}
    environ |= {
        "REQUEST_METHOD": call.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": call.path.encode().decode("latin-1"),
        "QUERY_STRING": urlencode(given),
        "SERVER_PROTOCOL": "HTTP/1.1",
        "CONTENT_TYPE": "application/json",
        "CONTENT_LENGTH": str(len(body)),
        "HTTP_ACCEPT": "application/json",
        "HTTP_X_REQUEST_ID": outer.get("genfeed.request_id", ""),
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": outer["wsgi.errors"],
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
        "wsgi.version": (1, 0),
    }
    if call.idempotency_key:
        environ["HTTP_IDEMPOTENCY_KEY"] = call.idempotency_key
        environ[FORGETS_REFUSALS] = call.forgets_refusals
    answer = _django()(environ, _begin)
    try:
        return Told(
            answer.status_code,
            orjson.loads(b"".join(answer)),
            "Idempotent-Replayed" in answer.headers,
            int(answer.headers.get("Retry-After", 0)),
        )
    finally:
        answer.close()


def _begin(_status: str, _headers: list[tuple[str, str]], _error: Any = None, /) -> Callable[[bytes], object]:
    """WSGI's start of an answer; Django's own answer says it all."""
    return lambda _piece: None


@cache
def _django() -> WSGIHandler:
    return WSGIHandler()
