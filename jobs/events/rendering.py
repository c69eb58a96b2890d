"""Events as JSON, and as server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import orjson

from genfeed.journal.models import OutboxEvent
from genfeed.journal.positions import Position
from jobs.assets.models import Asset
from jobs.models import JobEvent
from jobs.rendering import moment
from jobs.testmode.mode import livemode_in, without_mark

CONTENT_TYPE = "text/event-stream"
# How long a client waits before it comes back, in milliseconds.
RETRY = b"retry: 1000\n\n"
# Keeps proxies from closing what is quiet.
HEARTBEAT = b": still here\n\n"
# Of these only their own client's job is told, and nothing follows them.
LAST = frozenset({"job_succeeded", "job_failed", "job_canceled"})


def render_event(event: JobEvent, assets: Iterable[Asset] = ()) -> dict[str, Any]:
    """One event of a job as JSON values; `assets`: its files as they are now, which know more than at its end."""
    data = without_mark(event.data)
    if named := data.get("assets"):
        stored = {asset.pk: asset for asset in assets if asset.state == Asset.State.STORED}
        data = {**data, "assets": [_facts(one, stored.get(one["id"])) for one in named]}
    livemode = livemode_in(event.data)
    return {"number": event.number, "type": event.kind, "at": moment(event.at), "livemode": livemode, "data": data}


def _facts(named: dict[str, Any], asset: Asset | None) -> dict[str, Any]:
    if asset is None:
        return named
    known = {"kind": asset.kind, "name": asset.name, "content_type": asset.content_type, "size": asset.size}
    return {**named, **known, "seconds": asset.seconds, "width": asset.width, "height": asset.height}


def render_client_event(row: OutboxEvent, of_job: dict[str, Any] | None) -> dict[str, Any]:
    """One event of a client as JSON values: that of a job with its job, others with what webhooks tell of them."""
    position = {"id": str(Position(row.txid, row.pk))}
    told = {"type": type_of(row), "at": moment(row.created_at), "livemode": livemode_in(row.payload)}
    if row.kind.startswith("job."):
        empty = {"number": row.payload["number"], **told, "data": {}}
        return position | {"job": row.payload["job"]} | (of_job or empty)
    return position | told | {"data": without_mark(row.payload)}


def type_of(row: OutboxEvent) -> str:
    """`job_succeeded` for `job.succeeded`."""
    return row.kind.replace(".", "_", 1)


def as_sse(event: dict[str, Any], *, id: str) -> bytes:
    """The event as a block of a stream. JSON has no line ends, so one line of data it is."""
    return b"id: %s\nevent: %s\ndata: %s\n\n" % (id.encode(), event["type"].encode(), orjson.dumps(event))


def position_only(id: str) -> bytes:
    """A block that tells nothing, but from where to go on."""
    return b"id: %s\n\n" % id.encode()


def goodbye(reason: str) -> bytes:
    """A comment for whoever reads streams by eye; clients come back with the last id by themselves."""
    return b": %s; come back with the Last-Event-ID\n\n" % reason.encode()
