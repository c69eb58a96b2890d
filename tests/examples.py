"""How many examples of a property are tried: all on SQLite, a third on PostgreSQL, GENFEED_FUZZ where that is set.

What the property says of our own code SQLite has shown by then; PostgreSQL adds that its statements do the same.
"""

import os

from django.db import connection


def examples(number: int) -> int:
    """So many, or a third of them, rounded up; as many as GENFEED_FUZZ says where it says so (`make fuzz`)."""
    if wanted := os.environ.get("GENFEED_FUZZ"):
        return int(wanted)
    return number if connection.vendor == "sqlite" else -(-number // 3)
