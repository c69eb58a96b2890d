"""Ids that sort by time and say what they are of."""

from datetime import UTC, date, datetime

from django.utils import timezone
from ulid import ULID

# 48 bits of milliseconds make the first ten characters of a ULID.
_TIME = 10


def new_id(prefix: str) -> str:
    """`job_01m89x49z9mhcmgg8bzbyn4ghf`: the prefix and a ULID in lower case."""
    return f"{prefix}_{str(ULID.from_datetime(timezone.now())).lower()}"


def first_id(prefix: str, day: date) -> str:
    """What every id of the day (in UTC) and after it is not less than. Raises ValueError for days before 1970."""
    midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
    if midnight.timestamp() < 0:
        raise ValueError(f"No id is from {day}.")
    return first_id_at(prefix, midnight)


def first_id_at(prefix: str, moment: datetime) -> str:
    """What every id of a moment (to the millisecond) and after it is not less than."""
    return f"{prefix}_{str(ULID.from_datetime(moment)).lower()[:_TIME]}"
