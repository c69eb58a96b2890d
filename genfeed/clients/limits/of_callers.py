"""Which limits bind a caller."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from genfeed.clients.keys import Caller

Kind = Literal["jobs", "reads"]


@dataclass(frozen=True, slots=True)
class Limit:
    """So many of a kind a minute, counted in this bucket."""

    kind: Kind
    bucket: str
    per_minute: int


def limits_of(caller: Caller, kind: Kind) -> tuple[Limit, ...]:
    """The limits of the key and of its client, in this order.

    The client's is for all its keys together; that of the key is left out unless it is smaller, as it could never be
    the one that refuses.
    """
    if kind == "jobs":
        of_key, of_client = caller.jobs_per_minute, caller.client_jobs_per_minute
    else:
        of_key, of_client = caller.reads_per_minute, caller.client_reads_per_minute
    client = Limit(kind, f"client:{caller.client_id}:{kind}", of_client)
    if of_key >= of_client:
        return (client,)
    return Limit(kind, f"key:{caller.key_id}:{kind}", of_key), client
