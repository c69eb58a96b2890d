"""Entry points of the background worker. Schedules name these, so that what they call may move."""

from genfeed.clients import mails, rotation
from genfeed.journal import request_ids


def remind_of_rotation() -> int:
    """Once a day: tell staff and clients of keys that should be rotated; returns of how many."""
    request_ids.begin()
    return rotation.remind_of_rotation()


def mail_clients() -> int:
    """Every minute: mail clients what they should know of their balance, budgets, keys; returns how many mails."""
    request_ids.begin()
    return mails.mail_clients()
