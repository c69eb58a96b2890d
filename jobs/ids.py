"""Ids that sort by time and say what they are of."""

from ulid import ULID


def new_id(prefix: str) -> str:
    """`job_01m89x49z9mhcmgg8bzbyn4ghf`: the prefix and a ULID in lower case."""
    return f"{prefix}_{str(ULID()).lower()}"
