"""Django's SQLite backend, but whoever must wait for another's transaction to end looks for it every millisecond.

SQLite itself looks less and less often, at last ten times a second. Our transactions take a few milliseconds, and under
load there is always one: whoever has waited for long would look the least often, and mostly in vain.
"""

from __future__ import annotations

import sqlite3
import time
from typing import Any

from django.db.backends.sqlite3 import base

_STEP_SECONDS = 0.001


class _Cursor(base.SQLiteCursorWrapper):
    patience_seconds = 0.0

    def execute(self, query: str, params: Any = None) -> Any:
        """Runs a statement; one that begins a transaction, or is one by itself, may have to wait."""
        if self.connection.in_transaction or query.startswith("SELECT"):
            return super().execute(query, params)
        deadline = time.monotonic() + self.patience_seconds
        self.connection.execute("PRAGMA busy_timeout = 0")
        try:
            while True:
                try:
                    return super().execute(query, params)
                except sqlite3.OperationalError as error:
                    if time.monotonic() > deadline or "locked" not in str(error):
                        raise
                time.sleep(_STEP_SECONDS)
        finally:
            # What does not come by here waits as SQLite does.
            self.connection.execute(f"PRAGMA busy_timeout = {int(self.patience_seconds * 1000)}")


class DatabaseWrapper(base.DatabaseWrapper):
    """Named by settings as `genfeed.sqlite`. `patience_seconds`: how long a statement waits for other writers."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.patience_seconds = float(self.settings_dict["OPTIONS"].get("timeout", 5))

    def create_cursor(self, name: str | None = None) -> Any:
        """A cursor that is as patient as the connection is now."""
        cursor: Any = self.connection.cursor(factory=_Cursor)
        cursor.patience_seconds = self.patience_seconds
        return cursor
