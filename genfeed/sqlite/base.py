"""Django's SQLite backend, but a transaction that must wait for another's end looks for it every millisecond.

SQLite itself looks less and less often, at last ten times a second. Our transactions take a few milliseconds, and under
load there is always one: whoever has waited for long would look the least often, and mostly in vain.
"""

from __future__ import annotations

import time
from typing import Any

from django.db import OperationalError
from django.db.backends.sqlite3 import base

_STEP_SECONDS = 0.001


class DatabaseWrapper(base.DatabaseWrapper):
    """Named by settings as `genfeed.sqlite`."""

    def _start_transaction_under_autocommit(self) -> None:
        patience = float(self.settings_dict["OPTIONS"].get("timeout", 5))
        deadline = time.monotonic() + patience
        connection: Any = self.connection
        connection.execute("PRAGMA busy_timeout = 0")
        try:
            while not self._begins(is_last=time.monotonic() > deadline):
                time.sleep(_STEP_SECONDS)
        finally:
            # Single statements wait as SQLite does.
            connection.execute(f"PRAGMA busy_timeout = {int(patience * 1000)}")

    def _begins(self, *, is_last: bool) -> bool:
        try:
            super()._start_transaction_under_autocommit()  # type: ignore[misc]
        except OperationalError as error:
            if is_last or "locked" not in str(error):
                raise
            return False
        return True
