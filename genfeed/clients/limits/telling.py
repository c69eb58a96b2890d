"""What a caller is told of its limits: RateLimit headers on every answer, and refusals that say what to do.

The headers are those of draft-ietf-httpapi-ratelimit-headers (since -08): structured fields, a list each.
"""

from __future__ import annotations

from contextvars import ContextVar
from functools import lru_cache

from django.http import HttpResponse

from genfeed.clients.errors import ApiError
from genfeed.clients.limits.of_callers import Kind, Limit

# Of the request at work, by kind: the smallest limit, the least that one of them has left, the wait in µs for more.
_notes: ContextVar[dict[Kind, tuple[Limit, int, int]] | None] = ContextVar("limits", default=None)


def begin() -> None:
    """Forgets what was noted in this context, at the start of a request."""
    _notes.set(None)


def note(limit: Limit, *, left: int, wait: int) -> None:
    """Notes what a limit has left; `wait` in µs until there is more."""
    notes = _notes.get()
    if notes is None:
        notes = {}
        _notes.set(notes)
    known = notes.get(limit.kind)
    if known is None:
        notes[limit.kind] = (limit, left, wait)
    elif left < known[1]:
        notes[limit.kind] = (known[0], left, wait)


def write_headers(response: HttpResponse) -> None:
    """Writes `RateLimit-Policy` and `RateLimit` for the limits that the request met; nothing where it met none."""
    for name, value in headers().items():
        response.headers[name] = value


def headers() -> dict[str, str]:
    """`RateLimit-Policy` and `RateLimit` for the limits that the request met; nothing where it met none."""
    notes = _notes.get()
    if not notes:
        return {}
    return {
        "RateLimit-Policy": ", ".join(_policy(kind, of[0].per_minute) for kind, of in notes.items()),
        "RateLimit": ", ".join(f'"{kind}";r={left};t={seconds(wait)}' for kind, (_, left, wait) in notes.items()),
    }


@lru_cache(maxsize=1000)
def _policy(kind: Kind, per_minute: int) -> str:
    return f'"{kind}";q={per_minute};w=60'


def seconds(wait: int) -> int:
    """A wait in µs as whole seconds, rounded up, at least one: who comes back then does not come too early."""
    return max(-(-wait // 1_000_000), 1)


def too_many(limit: Limit, *, wait: int) -> ApiError:
    """The refusal by a limit; `wait` in µs is rounded up to seconds."""
    note(limit, left=0, wait=wait)
    pause = seconds(wait)
    what = "job" if limit.kind == "jobs" else "request"
    details = {"limit": limit.kind, "of": limit.bucket.partition(":")[0], "per_minute": limit.per_minute}
    if not limit.per_minute:
        return ApiError(
            "rate_limited",
            f"No {what} is allowed to this {details['of']}: its limit is 0 a minute.",
            "Ask the operator for a higher limit.",
            details=details,
            retry_after=pause,
        )
    return ApiError(
        "rate_limited",
        f"Too many {what}s: this {details['of']} may send {limit.per_minute} a minute.",
        f"Wait {pause} s, then go on more slowly; the RateLimit header tells how many are left. "
        "Ask the operator for a higher limit if you need one.",
        details=details,
        retry_after=pause,
    )
