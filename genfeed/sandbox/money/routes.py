"""The account's money on the Platform API: billing events, usage, balance. All of it needs an ADMIN key."""

import time
from collections import defaultdict
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from genfeed.sandbox.answers import PlatformError, json_answer
from genfeed.sandbox.keys import account_of, require_admin
from genfeed.sandbox.money.bills import NANO, Bill
from genfeed.sandbox.money.periods import bucket_of, expansions, page_of, period_of, timeframe_of, values_of
from genfeed.sandbox.queue.access import account_name
from genfeed.sandbox.queue.states import iso
from genfeed.sandbox.state import Sandbox
from genfeed.sandbox.webhooks.signing import USER_ID

EVENTS_PAGE, LARGEST_EVENTS_PAGE, USAGE_PAGE = 100, 10_000, 1_000
AUTH = frozenset({"auth_method", "auth_method_structured"})


async def billing_events(request: Request) -> Response:
    """GET /v1/models/billing-events: one event for each request that cost something, once its lag is over."""
    sandbox: Sandbox = request.app.state.sandbox
    require_admin(request, sandbox.keys)
    expand = expansions(request, AUTH)
    request_ids = values_of(request, "request_id")
    bills = [
        bill
        for bill in _bills(sandbox, request, days=90 if request_ids else 1)
        if not request_ids or bill.request_id in request_ids
    ]
    page, cursor = page_of(request, bills, usual=EVENTS_PAGE, most=LARGEST_EVENTS_PAGE)
    now = time.time()
    events = [_event(bill, now) | _auth(expand) for bill in page]
    return json_answer({"billing_events": events, "next_cursor": cursor, "has_more": cursor is not None})


async def usage(request: Request) -> Response:
    """GET /v1/models/usage: sums by endpoint, price and discount, over time and in all."""
    sandbox: Sandbox = request.app.state.sandbox
    require_admin(request, sandbox.keys)
    expand = expansions(request, AUTH | {"time_series", "summary"}) or frozenset({"time_series"})
    if not expand & {"time_series", "summary"}:
        raise PlatformError(400, "Invalid request parameters: expand needs time_series or summary")
    start, end = period_of(request)
    frame = timeframe_of(request, start, end)
    bills = _bills(sandbox, request, days=1)
    now = time.time()
    answer: dict[str, Any] = {"next_cursor": None, "has_more": False}
    if "time_series" in expand:
        buckets: defaultdict[float, list[Bill]] = defaultdict(list)
        for bill in bills:
            buckets[bucket_of(bill.at, frame)].append(bill)
        series = [{"bucket": iso(at), "results": _items(buckets[at], now, expand)} for at in sorted(buckets)]
        page, cursor = page_of(request, series, usual=USAGE_PAGE, most=USAGE_PAGE)
        answer |= {"time_series": page, "next_cursor": cursor, "has_more": cursor is not None}
    if "summary" in expand:
        answer["summary"] = _items(bills, now, expand)
    return json_answer(answer)


async def account_billing(request: Request) -> Response:
    """GET /v1/account/billing: who it is, and with expand=credits what is left."""
    sandbox: Sandbox = request.app.state.sandbox
    require_admin(request, sandbox.keys)
    answer: dict[str, Any] = {"username": USER_ID}
    if "credits" in expansions(request, frozenset({"credits"})):
        account = account_of(request, sandbox.keys)
        balance = account.balance if account else sandbox.faults.balance
        answer["credits"] = {"current_balance": round(balance, 9), "currency": "USD"}
    return json_answer(answer)


def _bills(sandbox: Sandbox, request: Request, *, days: float) -> list[Bill]:
    """The bills of the period and the endpoints that were asked for, newest first."""
    start, end = period_of(request, days=days)
    endpoints = values_of(request, "endpoint_id")
    account = account_name(request)
    found = [
        bill
        for bill in sandbox.bills.visible(time.time())
        if bill.account == account and start <= bill.at < end and (not endpoints or bill.endpoint_id in endpoints)
    ]
    return found[::-1]


def _event(bill: Bill, now: float) -> dict[str, Any]:
    subtotal, total = bill.subtotal(now), bill.total(now)
    return {
        "request_id": bill.request_id,
        "endpoint_id": bill.endpoint_id,
        "timestamp": iso(bill.at),
        "output_units": float(bill.units_at(now)),
        "unit_price": float(bill.unit_price),
        "percent_discount": float(bill.discount_percent) or None,
        "cost_subtotal": float(subtotal),
        "cost_discount": float(max(Decimal(0), subtotal - total)),
        "cost_total": float(total),
        "cost_estimate_nano_usd": int(total * NANO),
        # Not in fal's document, but in its answers.
        "quantity": float(bill.units_at(now)),
        "unit": bill.unit,
    }


def _auth(expand: frozenset[str]) -> dict[str, Any]:
    known: dict[str, Any] = {
        "auth_method": "Sandbox key",
        "auth_method_structured": {"detail": "Sandbox key", "api_key_id": "sandbox-key"},
    }
    return {name: known[name] for name in sorted(expand & AUTH)}


def _items(bills: Iterable[Bill], now: float, expand: frozenset[str]) -> list[dict[str, Any]]:
    groups: defaultdict[tuple[str, str, Decimal, Decimal], list[Bill]] = defaultdict(list)
    for bill in bills:
        groups[bill.endpoint_id, bill.unit, bill.unit_price, bill.discount_percent].append(bill)
    return [_item(group, now) | _auth(expand) for _, group in sorted(groups.items())]


def _item(bills: list[Bill], now: float) -> dict[str, Any]:
    first = bills[0]
    subtotal = sum((bill.subtotal(now) for bill in bills), Decimal(0))
    total = sum((bill.total(now) for bill in bills), Decimal(0))
    return {
        "endpoint_id": first.endpoint_id,
        "unit": first.unit,
        "quantity": float(sum((bill.units_at(now) for bill in bills), Decimal(0))),
        "unit_price": float(first.unit_price),
        "percent_discount": float(first.discount_percent) or None,
        "cost_subtotal": float(subtotal),
        "cost_discount": float(max(Decimal(0), subtotal - total)),
        "cost_total": float(total),
        "cost": float(total),
        "currency": "USD",
    }


ROUTES = [
    Route("/v1/models/billing-events", billing_events),
    Route("/v1/models/usage", usage),
    Route("/v1/account/billing", account_billing),
]
