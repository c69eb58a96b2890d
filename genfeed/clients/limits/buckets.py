"""Token buckets in the database, by the database's clock: exact for all processes, whatever their own clocks say.

A bucket holds a minute's worth of tokens and fills evenly. It is stored as one number, when it will be full again
(GCRA), so that taking a token is one conditional statement: a token costs a minute divided by the limit, and there is
one as long as the bucket would be full again within a minute of taking it.
"""

from __future__ import annotations

from dataclasses import dataclass

from django.db import connection

_MINUTE = 60_000_000  # µs

# SQLite's clock is that of the one machine that has the file, in ms.
_CLOCKS = {
    "postgresql": "CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS bigint)",
    "sqlite": "CAST(ROUND((julianday('now') - 2440587.5) * 86400000.0) AS INTEGER) * 1000",
}

# Further ahead than a minute no bucket comes by itself: the clock of the database was put back. It counts as full.
_TAKE = """
    INSERT INTO clients_ratebucket AS bucket (name, full_at) VALUES (%(name)s, {now} + %(cost)s)
    ON CONFLICT (name) DO UPDATE SET full_at = %(cost)s + CASE
        WHEN bucket.full_at - %(back)s BETWEEN {now} AND {now} + 120000000 THEN bucket.full_at - %(back)s ELSE {now} END
    WHERE bucket.full_at - %(back)s <= {now} + 60000000 - %(cost)s OR bucket.full_at > {now} + 120000000
    RETURNING full_at - {now}
"""
_LOOK = "SELECT full_at - {now} FROM clients_ratebucket WHERE name = %(name)s"


@dataclass(frozen=True, slots=True)
class Taken:
    """What a bucket said: whether the tokens were taken, how many are left, and the wait in µs until one is there."""

    granted: bool
    left: int
    wait: int


def take(name: str, *, per_minute: int, count: int = 1, back: int = 0) -> Taken:
    """Takes `count` tokens or none from a bucket of `per_minute`, by one statement; `back` unused ones come back first.

    A bucket that nobody used yet is full. Within a transaction the tokens are taken only if it commits, and others who
    take from the same bucket wait for that. A limit of 0 refuses always, and no wait helps.
    """
    if per_minute <= 0 or count > per_minute:
        return Taken(granted=False, left=0, wait=_MINUTE)
    cost, refund = _cost(count, per_minute), _cost(back, per_minute)
    values: dict[str, int | str] = {"name": name, "cost": cost, "back": refund}
    clock = _CLOCKS[connection.vendor]
    with connection.cursor() as cursor:
        cursor.execute(_TAKE.format(now=clock), values)
        if row := cursor.fetchone():
            return Taken(granted=True, left=_left(row[0], per_minute), wait=0)
        cursor.execute(_LOOK.format(now=clock), values)
        owed = int(cursor.fetchone()[0]) - refund
    return Taken(granted=False, left=_left(owed, per_minute), wait=max(owed + cost - _MINUTE, 1))


def _cost(count: int, per_minute: int) -> int:
    # Rounded down, so that a full bucket gives `per_minute` tokens and not one less.
    return count * max(_MINUTE // per_minute, 1)


def _left(owed: int, per_minute: int) -> int:
    return min(max(_MINUTE - owed, 0) // _cost(1, per_minute), per_minute)
