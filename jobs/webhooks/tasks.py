"""Entry points of the background worker. Schedules name these, so that what they call may move."""

from genfeed.journal import request_ids
from jobs.webhooks import clean_up


def forget() -> int:
    """Once a day: delete events and messages that are older than 30 days; returns how many."""
    request_ids.begin()
    return clean_up.clean_up()
