"""Events out of the database, ready to be sent."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

from django.db.models import Q

from genfeed.journal import following
from genfeed.journal.models import OutboxEvent
from genfeed.journal.positions import Position
from jobs.assets.models import Asset
from jobs.events.rendering import LAST, as_sse, render_client_event, render_event
from jobs.models import JobEvent

Of = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Item:
    """An event on its way to those who follow its job or its client. `at` is where they go on after it."""

    at: Any
    type: str
    job: str
    body: bytes

    @property
    def is_last(self) -> bool:
        return self.type in LAST


def of_job(job_id: str, after: int, *, limit: int) -> list[dict[str, Any]]:
    """The events of a job after the one of this number, as JSON values, oldest first."""
    events = list(JobEvent.objects.filter(job=job_id, number__gt=after).order_by("number")[:limit])
    files = _files(events)
    return [render_event(event, files[job_id]) for event in events]


def of_client(client_id: int, after: Position, *, limit: int) -> list[tuple[OutboxEvent, dict[str, Any]]]:
    """The settled events of a client after a position, with their rows, oldest first."""
    rows = following.after(after, client_id, limit=limit)
    told = _told(rows)
    return [(row, render_client_event(row, told.get(_key(row)))) for row in rows]


def job_item(job_id: str, event: dict[str, Any]) -> Item:
    """An event of a job for those who follow the job."""
    return Item(event["number"], event["type"], job_id, as_sse(event, id=str(event["number"])))


def client_item(row: OutboxEvent, event: dict[str, Any]) -> Item:
    """An event of a client for those who follow the client."""
    return Item(Position(row.txid, row.pk), event["type"], event.get("job", ""), as_sse(event, id=event["id"]))


def news_items(
    news: following.News, jobs: Collection[str], clients: Collection[int]
) -> tuple[list[Item], list[tuple[int, Item]]]:
    """What is new for followers of these jobs, and for those of these clients."""
    fresh = [row for row in news.fresh if row.kind.startswith("job.") and row.payload["job"] in jobs]
    settled = [row for row in news.settled if row.client_id in clients]
    told = _told([*fresh, *settled])
    of_jobs = [job_item(row.payload["job"], told[_key(row)]) for row in fresh if _key(row) in told]
    of_clients = [
        (row.client_id or 0, client_item(row, render_client_event(row, told.get(_key(row))))) for row in settled
    ]
    return of_jobs, of_clients


def _key(row: OutboxEvent) -> Of:
    return (row.payload["job"], row.payload["number"]) if row.kind.startswith("job.") else ("", 0)


def _told(rows: Iterable[OutboxEvent]) -> dict[Of, dict[str, Any]]:
    """What jobs' own events say, by job and number."""
    wanted: dict[str, set[int]] = defaultdict(set)
    for row in rows:
        if row.kind.startswith("job."):
            wanted[row.payload["job"]].add(row.payload["number"])
    if not wanted:
        return {}
    first = min(min(numbers) for numbers in wanted.values())
    events = list(JobEvent.objects.filter(Q(job__in=wanted), number__gte=first))
    events = [event for event in events if event.number in wanted[event.job_id]]
    files = _files(events)
    return {(event.job_id, event.number): render_event(event, files[event.job_id]) for event in events}


def _files(events: Iterable[JobEvent]) -> dict[str, list[Asset]]:
    found: dict[str, list[Asset]] = defaultdict(list)
    ended = [event.job_id for event in events if event.data.get("assets")]
    for asset in Asset.objects.filter(job__in=ended) if ended else ():
        found[str(asset.job_id)].append(asset)
    return found
