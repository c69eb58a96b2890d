"""How long calls to providers take and how often they fail, by call: counted in every process."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import httpx
from prometheus_client import Counter, Histogram

from catalog.providers.queue import NotAcceptedError, UnclearError

_seconds = Histogram(
    "genfeed_provider_call_seconds",
    "Time of one call to a provider, each try counted.",
    ["provider", "call"],
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)
_errors = Counter(
    "genfeed_provider_call_errors_total",
    "Calls to a provider that brought no usable answer: HTTP status of 400 and more, or network.",
    ["provider", "call", "kind"],
)


# No connection was made at all; a call that breaks off later may be the provider's trouble.
NO_CONNECTION = (httpx.ConnectError, httpx.ConnectTimeout)
# Nothing went out: the connection was never made, or none was free.
_NEVER_SENT = (*NO_CONNECTION, httpx.PoolTimeout, httpx.UnsupportedProtocol)


@dataclass(slots=True)
class Seen:
    """What calls since the last look found: whether any was answered, and how many since then met no connection."""

    reached: bool = False
    failures: int = 0
    reason: str = ""


_seen: dict[str, Seen] = {}
_lock = threading.Lock()


def note(name: str, reason: str = "") -> None:
    """Notes in this process that something answered or, with a reason, that no connection to it was made."""
    with _lock:
        seen = _seen.setdefault(name, Seen())
        if reason:
            seen.failures += 1
            seen.reason = reason
        else:
            _seen[name] = Seen(reached=True)


def take_seen() -> dict[str, Seen]:
    """What was noted since the last call of this function, by name."""
    with _lock:
        taken = dict(_seen)
        _seen.clear()
    return taken


def observed(provider: str, call: str, send: Callable[[], httpx.Response]) -> httpx.Response:
    """Sends, and counts the time and what went wrong; raises what `send` raises."""
    begun = time.perf_counter()
    try:
        response = send()
    except httpx.HTTPError as error:
        if isinstance(error, NO_CONNECTION):
            note(provider, type(error).__name__)
        _errors.labels(provider, call, "network").inc()
        raise
    finally:
        _seconds.labels(provider, call).observe(time.perf_counter() - begun)
    note(provider)
    if response.status_code >= 400:
        _errors.labels(provider, call, str(response.status_code)).inc()
    return response


def send_once(send: Callable[[], httpx.Response], name: str) -> httpx.Response:
    """Sends a submit to the provider of this name, and never again: what may have been accepted may be billed.

    Raises NotAcceptedError where certainly nothing went out, and UnclearError wherever something may have.
    """
    try:
        return send()
    except _NEVER_SENT as error:
        raise NotAcceptedError(f"{name} could not be reached: {type(error).__name__}") from error
    except httpx.HTTPError as error:
        raise UnclearError(f"{name}'s answer to the submit was lost: {type(error).__name__}") from error
