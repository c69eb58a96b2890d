"""Entry points of the background worker. Schedules name these, so that what they call may move."""

from genfeed.journal import notices, request_ids


def tell_staff() -> int:
    """Every minute: send new alerts to staff, by the channels that are configured; returns how many were told."""
    request_ids.begin()
    return notices.tell_staff()
