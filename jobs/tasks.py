"""Entry points of jobs for the worker."""

from genfeed.journal import request_ids
from jobs.assets import retention
from jobs.clean_up import clean_up


def forget_old() -> dict[str, int]:
    """Daily: what has served its purpose is deleted."""
    return clean_up()


def expire_files() -> str:
    """Once a day: delete files that were kept long enough; how many."""
    request_ids.begin()
    return f"{retention.expire_files()} files deleted"
