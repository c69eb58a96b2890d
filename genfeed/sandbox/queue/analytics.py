"""GET /v1/models/analytics: how many requests there were, how they ended, how long they took."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import partial
from math import ceil
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from genfeed.sandbox.answers import PlatformError, json_answer
from genfeed.sandbox.keys import require_key
from genfeed.sandbox.money.periods import bucket_of, expansions, page_of, period_of, timeframe_of, values_of
from genfeed.sandbox.queue.request import QueuedRequest
from genfeed.sandbox.queue.states import iso
from genfeed.sandbox.state import Sandbox

PAGE = 1_000
ERRORS = {
    "startup_error_count": ("startup_timeout", "runner_scheduling_failure"),
    "connection_error_count": (
        "runner_connection_timeout", "runner_disconnected", "runner_connection_refused", "runner_connection_error",
    ),
    "timeout_error_count": ("request_timeout",),
    "runtime_error_count": ("internal_error", "runner_server_error"),
}  # fmt: skip
SHARES = {"prepare_duration": (50, 75, 90, 95, 99), "duration": (25, 50, 75, 90, 95, 99)}
Requests = Sequence[QueuedRequest]


async def analytics(request: Request) -> Response:
    """The metrics that `expand` names, over time, in all, or both."""
    sandbox: Sandbox = request.app.state.sandbox
    require_key(request, sandbox.keys)
    endpoints = values_of(request, "endpoint_id")
    if not endpoints:
        raise PlatformError(400, "Invalid request parameters: endpoint_id is required")
    expand = expansions(request, frozenset({"time_series", "summary", *METRICS}))
    expand = expand or frozenset({"time_series", "request_count"})
    names = [name for name in METRICS if name in expand]
    if not names or not expand & {"time_series", "summary"}:
        raise PlatformError(400, "Invalid request parameters: expand needs time_series or summary, and a metric")
    start, end = period_of(request)
    frame = timeframe_of(request, start, end)
    found = [
        one
        for one in sandbox.line.requests.values()
        if start <= one.sent_at < end and one.endpoint_id in endpoints and one.outcome is not None
    ]
    answer: dict[str, Any] = {"next_cursor": None, "has_more": False}
    if "time_series" in expand:
        buckets: defaultdict[float, list[QueuedRequest]] = defaultdict(list)
        for one in found:
            buckets[bucket_of(one.sent_at, frame)].append(one)
        series = [{"bucket": iso(at), "results": _records(buckets[at], names)} for at in sorted(buckets)]
        page, cursor = page_of(request, series, usual=PAGE, most=PAGE)
        answer |= {"time_series": page, "next_cursor": cursor, "has_more": cursor is not None}
    if "summary" in expand:
        answer["summary"] = _records(found, names)
    return json_answer(answer)


def _records(requests: Requests, names: Sequence[str]) -> list[dict[str, Any]]:
    groups: defaultdict[str, list[QueuedRequest]] = defaultdict(list)
    for one in requests:
        groups[one.endpoint_id].append(one)
    return [
        {"endpoint_id": endpoint_id, **{name: METRICS[name](group) for name in names}}
        for endpoint_id, group in sorted(groups.items())
    ]


def _ended(least: int, below: int, requests: Requests) -> int:
    return sum(one.outcome is not None and least <= one.outcome.status < below for one in requests)


def _failed(kinds: Sequence[str], requests: Requests) -> int:
    return sum(one.outcome is not None and one.outcome.error_type in kinds for one in requests)


def _busy(requests: Requests) -> float:
    return sum(one.machine_seconds for one in requests)


def _share(what: str, share: int, requests: Requests) -> float:
    """The value that `share` percent of the requests do not exceed, in seconds."""
    if what == "duration":
        values = sorted(one.machine_seconds for one in requests)
    else:
        values = sorted((one.started_at or one.ended_at or one.sent_at) - one.sent_at for one in requests)
    return max(0.0, values[max(0, ceil(len(values) * share / 100) - 1)]) if values else 0.0


# No runner here has to be started first, so nothing starts cold.
METRICS: dict[str, Callable[[Requests], float]] = {
    "request_count": len,
    "success_count": partial(_ended, 200, 400),
    "user_error_count": partial(_ended, 400, 500),
    "error_count": partial(_ended, 500, 600),
    "total_billable_duration": _busy,
    "cold_boot_count": partial(_failed, ()),
    **{f"p{share}_cold_boot_duration": partial(_failed, ()) for share in (50, 75, 90)},
    **{name: partial(_failed, kinds) for name, kinds in ERRORS.items()},
    **{f"p{share}_{what}": partial(_share, what, share) for what, shares in SHARES.items() for share in shares},
}
ROUTES = [Route("/v1/models/analytics", analytics)]
