"""Entry points of jobs for the worker."""

from jobs.clean_up import clean_up


def forget_old() -> dict[str, int]:
    """Daily: what has served its purpose is deleted."""
    return clean_up()
