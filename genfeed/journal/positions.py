"""The order of events that a reader can follow without ever missing one that is committed late.

Numbers of rows are given out before their transactions end: a reader that has seen 105 may yet find 103. So each event
carries the number of its transaction too. Of PostgreSQL we know the oldest transaction that is still open: what lies
below it is settled, and never grows again. Settled events are told in the order of (transaction, row), and that pair is
the cursor. SQLite has one writer at a time: there, every event is settled once it is seen, and the transaction is 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db import connection
from django.db.models import BigIntegerField, Func, Q


class CurrentTransaction(Func):
    """The number of the transaction at work, 0 on SQLite."""

    output_field = BigIntegerField()

    def as_sql(self, *_args: Any, **_kwargs: Any) -> tuple[str, tuple[()]]:
        return "0", ()

    def as_postgresql(self, *_args: Any, **_kwargs: Any) -> tuple[str, tuple[()]]:
        return "pg_current_xact_id()::text::bigint", ()


class OldestOpen(CurrentTransaction):
    """The oldest transaction that may still write; all below it have ended. Seen by the statement that asks."""

    def as_postgresql(self, *_args: Any, **_kwargs: Any) -> tuple[str, tuple[()]]:
        return "pg_snapshot_xmin(pg_current_snapshot())::text::bigint", ()


class NotGivenOut(CurrentTransaction):
    """The first number that no transaction of this database server has had yet."""

    def as_postgresql(self, *_args: Any, **_kwargs: Any) -> tuple[str, tuple[()]]:
        return "pg_snapshot_xmax(pg_current_snapshot())::text::bigint", ()


# What every database can hold.
_DIGITS = 18


class NotAPositionError(ValueError):
    """A text that no stream gave out."""


@dataclass(frozen=True, order=True, slots=True)
class Position:
    """The last event that was seen; as a text it is the `id` of an event in streams of all events."""

    txid: int
    id: int

    def __str__(self) -> str:
        return f"{self.txid}-{self.id}"

    @property
    def later(self) -> Q:
        """What comes after it."""
        return Q(txid__gt=self.txid) | Q(txid=self.txid, pk__gt=self.id)


def parse_position(text: str) -> Position:
    """The position that a text names; raises NotAPositionError."""
    txid, _, number = text.partition("-")
    if not all(part.isascii() and part.isdigit() and len(part) <= _DIGITS for part in (txid, number)):
        raise NotAPositionError(text[:60])
    return Position(int(txid), int(number))


def numbers_transactions() -> bool:
    """Whether this database has several writers at once, and numbers their transactions."""
    return connection.vendor == "postgresql"


def settled() -> Q:
    """The events that a reader may count as told, as the statement sees them that asks."""
    return Q(txid__lt=OldestOpen()) if numbers_transactions() else Q()
