"""`python -m tests.nodes.working`: `manage.py qcluster`, also under a false clock.

libfaketime makes Python's own sleep fail (it hands clock_nanosleep a moment that is none), so here another waits.
"""

import select
import sys
import time

from django.core.management import execute_from_command_line


def _sleep(seconds: float) -> None:
    select.select([], [], [], max(0.0, seconds))


if __name__ == "__main__":
    time.sleep = _sleep
    execute_from_command_line([sys.argv[0], "qcluster"])
