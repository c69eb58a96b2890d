"""Following the events of all clients as they come: one look finds the new ones, whoever waits for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice, takewhile

from django.db import connection
from django.db.models import Max

from genfeed.journal.models import OutboxEvent
from genfeed.journal.positions import NotGivenOut, OldestOpen, Position, numbers_transactions, settled


@dataclass(slots=True)
class Tail:
    """How far a process has read. `seen`: rows beyond the settled ones that it was given already."""

    position: Position
    seen: set[int] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class News:
    """What one look found: `fresh` rows were never given before, `settled` ones may be counted as told, in order."""

    fresh: Sequence[OutboxEvent]
    settled: Sequence[OutboxEvent]


def now() -> Position:
    """Where events begin that are not settled yet."""
    if numbers_transactions():
        _mend()
        # An expression needs a row to stand on, and there may be none.
        return Position(_value(OldestOpen()), 0)
    return Position(0, OutboxEvent.objects.aggregate(last=Max("pk"))["last"] or 0)


def resume(position: Position) -> Position:
    """Where to go on from a place that was given out before, also by a server that this database was copied from."""
    if not numbers_transactions() or position.txid <= _value(OldestOpen()):
        return position
    # Its transactions had other numbers, its rows had not; rows of today's transactions come after all of them.
    start = now()
    return Position(0, position.id) if position.id else start


def look(tail: Tail, *, limit: int = 2000) -> News:
    """The events since the last look, up to `limit` of each kind; moves the tail ahead."""
    rows = OutboxEvent.objects.filter(client_id__isnull=False)
    if not numbers_transactions():
        fresh = list(rows.filter(pk__gt=tail.position.id).order_by("pk")[:limit])
        if fresh:
            tail.position = Position(0, fresh[-1].pk)
        return News(fresh, fresh)
    # No limit here: what is not settled must be seen whole. But only by its numbers: one transaction that stays open
    # keeps everything since then from being settled, and whole rows of that would be read again with every look.
    numbered = rows.filter(tail.position.later).annotate(open=OldestOpen()).order_by("txid", "pk")
    found = list(numbered.values_list("txid", "pk", "open"))
    if not found:
        # Without a row there is no word of what is open; asking from the same place again misses nothing.
        return News([], [])
    horizon: int = found[0][2]
    # By row: of one job, that is the order of its numbers.
    unseen = sorted(pk for _, pk, _ in found if pk not in tail.seen)[:limit]
    given = tail.seen.union(unseen)
    ended = [(txid, pk) for txid, pk, _ in found if txid < horizon]
    # Nothing is passed by that was not given yet.
    told = list(islice(takewhile(lambda place: place[1] in given, ended), limit))
    if len(told) == len(ended):
        tail.position = Position(horizon, 0)
    elif told:
        tail.position = Position(*told[-1])
    tail.seen = given.intersection(pk for txid, pk, _ in found if (txid, pk) > (tail.position.txid, tail.position.id))
    wanted = {*unseen, *(pk for _, pk in told)}
    loaded = OutboxEvent.objects.in_bulk(wanted) if wanted else {}
    return News(
        [loaded[pk] for pk in unseen if pk in loaded],
        [loaded[pk] for _, pk in told if pk in loaded],
    )


def after(position: Position, client_id: int, *, limit: int) -> list[OutboxEvent]:
    """The settled events of a client after a position, oldest first."""
    rows = OutboxEvent.objects.filter(settled(), position.later, client_id=client_id)
    return list(rows.order_by("txid", "pk")[:limit])


def _value(expression: OldestOpen | NotGivenOut) -> int:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {expression.as_postgresql()[0]}")
        return int(cursor.fetchone()[0])


def _mend() -> None:
    """Numbers of transactions that this server has not given out came with a copy of the database: they are past."""
    foreign = OutboxEvent.objects.filter(txid__gte=NotGivenOut())
    if foreign.exists():
        foreign.update(txid=0)
