"""The limit of what creates jobs: exact, and part of the transaction that accepts the job."""

from __future__ import annotations

from django.db import connection

from genfeed.clients.keys import Caller
from genfeed.clients.limits.buckets import take
from genfeed.clients.limits.of_callers import limits_of
from genfeed.clients.limits.telling import note, too_many


def limit_jobs(caller: Caller, *, count: int = 1) -> None:
    """Takes `count` tokens from the buckets of the key and its client, in the caller's transaction.

    Raises ApiError `rate_limited` with `retry_after` in seconds, which must undo the transaction: then a refused
    request has taken from neither bucket, and so has one that is refused later, e.g. for want of money. Call it
    right before the hold: everybody takes the locks in the same order, key, client, account, budgets.
    """
    if not connection.in_atomic_block:
        raise RuntimeError("Tokens of a job are taken in the transaction that accepts it.")
    for limit in limits_of(caller, "jobs"):
        taken = take(limit.bucket, per_minute=limit.per_minute, count=count)
        if not taken.count:
            raise too_many(limit, wait=taken.wait)
        note(limit, left=taken.left, wait=taken.wait)
