"""Staff are told of a backup that failed: of the nightly one nobody reads what it prints."""

from __future__ import annotations

from contextlib import suppress

from django.db import DatabaseError

from genfeed.journal.alerts import raise_alert, resolve
from genfeed.journal.models import Alert

_CODE, _SUBJECT = "backup_failed", "backup"


def tell_failure(problem: str) -> None:
    """Raises the alert, where the database lets it."""
    with suppress(DatabaseError):
        raise_alert(
            _CODE,
            _SUBJECT,
            "No backup could be made",
            f"{problem} Those before are as they were. Mend it, and make one with `manage.py backup`: the next that is "
            "whole ends this.",
            level=Alert.Level.CRITICAL,
        )


def all_is_well() -> None:
    """A backup is whole again."""
    with suppress(DatabaseError):
        resolve(_CODE, _SUBJECT)
