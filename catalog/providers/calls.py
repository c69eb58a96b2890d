"""How long calls to providers take and how often they fail, by call: counted in every process."""

from __future__ import annotations

import time
from collections.abc import Callable

import httpx
from prometheus_client import Counter, Histogram

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


def observed(provider: str, call: str, send: Callable[[], httpx.Response]) -> httpx.Response:
    """Sends, and counts the time and what went wrong; raises what `send` raises."""
    begun = time.perf_counter()
    try:
        response = send()
    except httpx.HTTPError:
        _errors.labels(provider, call, "network").inc()
        raise
    finally:
        _seconds.labels(provider, call).observe(time.perf_counter() - begun)
    if response.status_code >= 400:
        _errors.labels(provider, call, str(response.status_code)).inc()
    return response
