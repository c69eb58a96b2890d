"""Entry points of the background worker. Schedules name these, so that what they call may move."""

from genfeed.clients import rotation
from genfeed.journal import request_ids


def remind_of_rotation() -> int:
    """Once a day: tell staff and clients of keys that should be rotated; returns of how many."""
    request_ids.begin()
    return rotation.remind_of_rotation()
