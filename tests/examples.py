"""How many examples of a property are tried: all of them on SQLite, a third on PostgreSQL.

What the property says of our own code SQLite has shown by then; PostgreSQL adds that its statements do the same.
"""

from django.db import connection


def examples(number: int) -> int:
    """So many, or a third of them, rounded up."""
    return number if connection.vendor == "sqlite" else -(-number // 3)
