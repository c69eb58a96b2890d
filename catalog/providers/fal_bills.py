"""fal's bills: billing events of the account, and what is left of its credit. Both need a key of scope ADMIN."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from django.utils.dateparse import parse_datetime

from catalog.providers.base import AccountBalance, BillingEvent, BillingPage, ProviderBadAnswerError
from catalog.providers.fal_pages import pages
from catalog.providers.reading import JsonReader, Params

EVENTS = "/models/billing-events"
BALANCE = "/account/billing"
# fal Platform OpenAPI: at most 10,000 events a page, and 90 days a question.
PAGE_SIZE = 10_000
LONGEST = timedelta(days=90)
# No single request costs more than this in USD, and no count of units is larger: such a line is not read, but told.
LARGEST = Decimal(1_000_000)
MOST_UNITS = Decimal(10) ** 15
# The two amounts of one event are the same charge, one of them rounded.
_SLACK = Decimal("0.000001")
_CURRENCY = re.compile(r"[A-Z]{3}")


class _Unreadable(ValueError):
    """A line that says something impossible."""


def billing_events(reader: JsonReader, start: datetime, end: datetime) -> Iterator[BillingPage]:
    """The events from `start` to before `end`; longer periods are asked for in pieces. Raises ProviderError."""
    while start < end:
        until = min(end, start + LONGEST)
        asked: Params = {"start": _instant(start), "end": _instant(until), "limit": PAGE_SIZE}
        for number, rows in pages(reader, EVENTS, "billing_events", asked, exact=True):
            yield _read_page(number, rows)
        start = until


def account_balance(reader: JsonReader) -> AccountBalance:
    """What is left of the account's credit (GET /account/billing, expand=credits). Raises ProviderError."""
    body = reader.get(BALANCE, {"expand": ["credits"]}, exact=True)
    credit = body.get("credits")
    currency = credit.get("currency") if isinstance(credit, dict) else None
    try:
        if not isinstance(credit, dict) or not isinstance(currency, str) or not _CURRENCY.fullmatch(currency):
            raise _Unreadable("no credit in a currency")
        # Beyond the documented 0 an account can owe.
        balance = _number(credit, "current_balance", lowest=-(10**12), highest=Decimal(10**12))
    except _Unreadable as error:
        raise ProviderBadAnswerError(f"{reader.provider} told no balance of the account: {error}.") from None
    if balance is None:
        raise ProviderBadAnswerError(f"{reader.provider} told no balance of the account.")
    account = body.get("username")
    return AccountBalance(account[:100] if isinstance(account, str) else "", balance, currency)


def _instant(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _read_page(number: int, rows: list[Any]) -> BillingPage:
    page = BillingPage([], [])
    for position, row in enumerate(rows, start=1):
        try:
            page.events.append(_read_event(row))
        except _Unreadable as error:
            page.problems.append(f"page {number}, line {position}: {error}")
    return page


def _read_event(row: Any) -> BillingEvent:
    if not isinstance(row, dict):
        raise _Unreadable("no object")
    stated = _needed(row, "cost_total")
    nano = _number(row, "cost_estimate_nano_usd", highest=LARGEST.scaleb(9))
    # The same charge twice: the one in nano-USD is exact, the other may have been through a float.
    total = stated if nano is None else nano.scaleb(-9)
    if abs(total - stated) > _SLACK:
        raise _Unreadable(f"costs {stated} USD and {nano} nano-USD, which is not the same")
    units = _number(row, "output_units", highest=MOST_UNITS)
    subtotal = _number(row, "cost_subtotal", highest=LARGEST)
    return BillingEvent(
        request_id=_text(row, "request_id", 80),
        endpoint_id=_text(row, "endpoint_id", 255),
        at=_time(row),
        units=_number(row, "quantity", highest=MOST_UNITS) if units is None else units,
        unit=row["unit"].strip()[:60] if isinstance(row.get("unit"), str) else "",
        unit_price=_number(row, "unit_price", highest=LARGEST),
        percent_discount=_number(row, "percent_discount", lowest=-100, highest=Decimal(100)),
        subtotal=total if subtotal is None else subtotal,
        discount=_number(row, "cost_discount", lowest=-int(LARGEST), highest=LARGEST) or Decimal(0),
        total=total,
        raw=row,
    )


def _time(row: dict[str, Any]) -> datetime:
    text = _text(row, "timestamp", 60)
    try:
        at = parse_datetime(text)
    except ValueError:
        at = None
    if at is None:
        raise _Unreadable(f"the time {text!r} is no ISO 8601 time")
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)


def _text(row: dict[str, Any], name: str, longest: int) -> str:
    value = row.get(name)
    if not isinstance(value, str) or not value or len(value) > longest:
        raise _Unreadable(f"{name} is missing or no text of at most {longest} characters")
    return value


def _needed(row: dict[str, Any], name: str) -> Decimal:
    found = _number(row, name, highest=LARGEST)
    if found is None:
        raise _Unreadable(f"{name} is missing")
    return found


def _number(row: dict[str, Any], name: str, *, lowest: int = 0, highest: Decimal) -> Decimal | None:
    value = row.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise _Unreadable(f"{name} is no number")
    number = Decimal(value)
    if not lowest <= number <= highest:
        raise _Unreadable(f"{name} is {value:.20g}, and that can't be" if abs(number) < 10**30 else f"{name} is absurd")
    # More places than this nobody bills by, and texts of numbers are stored.
    if number and int(number.as_tuple().exponent) < -30:
        raise _Unreadable(f"{name} has more than 30 places")
    return number
