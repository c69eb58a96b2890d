"""Periods and pages of the account's lists: `start`, `end`, `limit`, `cursor`, as the Platform API reads them."""

import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from starlette.requests import Request

from genfeed.sandbox.answers import PlatformError
from genfeed.sandbox.listing import decode_cursor, encode_cursor

DAY = 86_400.0
MOST_DAYS = 90
MOST_VALUES = 50
STEPS = {"minute": 60, "hour": 3600, "day": 86_400, "week": 604_800}
# Periods up to so many seconds are cut into these steps when none is asked for.
AUTOMATIC = ((7_200, "minute"), (172_800, "hour"), (5_529_600, "day"), (15_811_200, "week"))


def period_of(request: Request, *, days: float = 1.0) -> tuple[float, float]:
    """From when to before when, in Unix seconds; without words from the caller the last `days`."""
    now = time.time()
    end = _instant(request, "end", now + 1)
    start = _instant(request, "start", min(end, now) - days * DAY)
    if start > end:
        raise PlatformError(400, "Invalid request parameters: start must be before end")
    if end - start > (MOST_DAYS + 1) * DAY:
        raise PlatformError(400, f"Invalid request parameters: the period is longer than {MOST_DAYS} days")
    return start, end


def _instant(request: Request, name: str, usual: float) -> float:
    text = request.query_params.get(name)
    if text is None:
        return usual
    try:
        at = datetime.fromisoformat(text.replace(" ", "+"))
    except ValueError as error:
        raise PlatformError(400, f"Invalid request parameters: {name} is no ISO 8601 date") from error
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()


def timeframe_of(request: Request, start: float, end: float) -> str:
    """The length of the steps that a period is cut into: the one asked for, else one that suits the period."""
    usual = next((name for longest, name in AUTOMATIC if end - start <= longest), "month")
    frame = request.query_params.get("timeframe", usual)
    if frame not in STEPS and frame != "month":
        raise PlatformError(400, "Invalid request parameters: timeframe must be minute, hour, day, week or month")
    return frame


def bucket_of(at: float, frame: str) -> float:
    """When the step began that holds `at`, in Unix seconds."""
    if frame in STEPS and frame != "week":
        return at // STEPS[frame] * STEPS[frame]
    day = datetime.fromtimestamp(at, UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    first = day - timedelta(days=day.weekday()) if frame == "week" else day.replace(day=1)
    return first.timestamp()


def values_of(request: Request, name: str) -> frozenset[str]:
    """The values of a parameter that may be repeated or hold commas, 50 at most; empty: no filter."""
    given = request.query_params.getlist(name)
    values = frozenset(one.strip() for value in given for one in value.split(",") if one.strip())
    if len(values) > MOST_VALUES:
        raise PlatformError(400, f"Invalid request parameters: {name} takes 1 to {MOST_VALUES} values")
    return values


def expansions(request: Request, known: frozenset[str]) -> frozenset[str]:
    """The values of `expand`."""
    values = values_of(request, "expand")
    if unknown := values - known:
        raise PlatformError(400, f"Invalid request parameters: expand does not know {', '.join(sorted(unknown))}")
    return values


def page_of[T](request: Request, items: Sequence[T], *, usual: int, most: int) -> tuple[Sequence[T], str | None]:
    """One page and the cursor of the next."""
    text = request.query_params.get("limit", str(usual))
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise PlatformError(400, "Invalid request parameters: limit must be an integer of 1 or more")
    size = min(int(text), most)
    number = decode_cursor(request.query_params["cursor"]) if "cursor" in request.query_params else 1
    end = number * size
    return items[end - size : end], encode_cursor(number + 1) if end < len(items) else None
