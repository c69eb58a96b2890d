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
_GIVE_BACK = "UPDATE clients_ratebucket SET full_at = full_at - %(cost)s WHERE name = %(name)s"
_LOOK = "SELECT full_at - {now} FROM clients_ratebucket WHERE name = %(name)s"


@dataclass(frozen=True, slots=True)
class Taken:
    """What a bucket said: tokens taken, tokens left, and the wait in µs for one more, or for those it did not have."""

    count: int
    left: int
    wait: int


def take(name: str, *, per_minute: int, count: int = 1, back: int = 0) -> Taken:
    """Takes `count` tokens or none from a bucket of `per_minute`, by one statement; `back` unused ones come back first.

    A bucket that nobody used yet is full. Within a transaction the tokens are taken only if it commits, and others who
    take from the same bucket wait for that. A limit of 0 refuses always, and no wait helps.
    """
    if per_minute <= 0 or count > per_minute:
        return Taken(count=0, left=0, wait=_MINUTE)
    cost, refund = _cost(count, per_minute), _cost(back, per_minute)
    values: dict[str, int | str] = {"name": name, "cost": cost, "back": refund}
    clock = _CLOCKS[connection.vendor]
    with connection.cursor() as cursor:
        cursor.execute(_TAKE.format(now=clock), values)
        if row := cursor.fetchone():
            next_one = row[0] + _cost(1, per_minute) - _MINUTE
            return Taken(count, _left(row[0], per_minute), max(next_one, 0))
        cursor.execute(_LOOK.format(now=clock), values)
        owed = cursor.fetchone()[0] - refund
    return Taken(0, _left(owed, per_minute), max(owed + cost - _MINUTE, 1))


def take_up_to(count: int, name: str, *, per_minute: int, back: int = 0) -> Taken:
    """Takes `count` tokens or, where there are less, those; others who take at the same moment may leave none.

    The wait is that for one token.
    """
    taken = take(name, per_minute=per_minute, count=count, back=back)
    if taken.count or count == 1:
        return taken
    if not taken.left:
        return Taken(0, 0, max(taken.wait - _cost(count - 1, max(per_minute, 1)), 1))
    return take(name, per_minute=per_minute, count=taken.left, back=back)


def give_back(name: str, *, per_minute: int, count: int = 1) -> None:
    """Puts back tokens that were taken and turned out to be no use of what the limit is for."""
    with connection.cursor() as cursor:
        cursor.execute(_GIVE_BACK, {"name": name, "cost": _cost(count, per_minute)})


def _cost(count: int, per_minute: int) -> int:
    # Rounded down, so that a full bucket gives `per_minute` tokens and not one less.
    return count * max(_MINUTE // per_minute, 1)


def _left(owed: int, per_minute: int) -> int:
    return min(max(_MINUTE - owed, 0) // _cost(1, per_minute), per_minute)
