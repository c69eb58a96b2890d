"""`python -m tests.nodes.dispatching`: `manage.py dispatch`, but for constants that would make faults last hours.

Claims of webhooks and files end soon after their process has died. GATE_SECONDS is the longest that the gate to a
provider stays shut: two minutes as it is shipped, scaled as the hour is that a provider is away.
"""

import os
from datetime import timedelta

import django


def main() -> None:
    django.setup()
    from jobs.assets import fetching
    from jobs.dispatching import gate
    from tests import hurried

    fetching._LEASE_SLACK = 2
    fetching._LONGEST_WAIT_FOR_ROOM = 3.0
    longest = timedelta(seconds=float(os.environ.get("GATE_SECONDS", "120")))
    gate.FIRST_WAIT, gate.LONGEST_WAIT = min(gate.FIRST_WAIT, longest / 24), longest
    hurried.main()


if __name__ == "__main__":
    main()
