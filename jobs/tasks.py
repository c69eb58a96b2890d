"""Entry points of jobs for the worker."""

from genfeed.journal import request_ids
from jobs import provider_copies
from jobs.assets import retention
from jobs.clean_up import clean_up


def forget_old() -> dict[str, int]:
    """Daily: what has served its purpose is deleted."""
    return clean_up()


def expire_files() -> str:
    """Once a day: delete files that were kept long enough; how many."""
    request_ids.begin()
    return f"{retention.expire_files()} files deleted"


def drop_parts() -> str:
    """Once an hour: give up uploads that were not completed in time, and what killed processes left; how many."""
    request_ids.begin()
    return f"{retention.drop_parts()} uploads given up, {retention.sweep_incoming()} files of ended processes deleted"


def erase_at_providers() -> str:
    """Every ten minutes: delete at the providers what they hold of erased clients; how many requests."""
    request_ids.begin()
    return f"{provider_copies.erase_due()} requests deleted"
