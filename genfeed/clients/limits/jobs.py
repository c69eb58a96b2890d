"""The limit of what creates jobs: exact, and part of the transaction that accepts the job."""

from __future__ import annotations

from django.conf import settings
from django.db import connection

from genfeed.clients.errors import ApiError
from genfeed.clients.keys import Caller
from genfeed.clients.limits.buckets import take


def limit_jobs(caller: Caller, *, count: int = 1) -> None:
    """Takes `count` tokens from the buckets of the key and its client, in the caller's transaction.

    Raises ApiError `rate_limited` with `retry_after` in seconds, which must undo the transaction: then a refused
    request has taken from neither bucket, and so has one that is refused later, e.g. for want of money. Call it first
    in the transaction: everybody takes the locks in the same order, key, client, budgets, account.
    """
    if not connection.in_atomic_block:
        raise RuntimeError("Tokens of a job are taken in the transaction that accepts it.")
    for name in (f"key:{caller.key_id}:jobs", f"client:{caller.client_id}:jobs"):
        per_minute = settings.JOBS_PER_MINUTE
        taken = take(name, per_minute=per_minute, count=count)
        if not taken.granted:
            raise too_many("jobs", per_minute=per_minute, wait=taken.wait)


def too_many(limit: str, *, per_minute: int, wait: int) -> ApiError:
    """The refusal by a limit (`jobs` or `reads`); `wait` in µs is rounded up to seconds."""
    seconds = -(-wait // 1_000_000)
    return ApiError(
        "rate_limited",
        f"Too many requests: {per_minute} {limit} a minute are allowed.",
        f"Wait {seconds} s, then go on more slowly; the RateLimit header tells how many are left. "
        "Ask the operator for a higher limit if you need one.",
        details={"limit": limit, "per_minute": per_minute},
        retry_after=seconds,
    )
