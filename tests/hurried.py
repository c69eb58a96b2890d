"""`python -m tests.hurried`: `manage.py dispatch`, which is as it is, but waits less between the attempts of a webhook.

Minutes and hours between attempts would make a test or a measurement of thousands take a day.
"""

from datetime import timedelta

import django
from django.core.management import call_command

# Seconds for an attempt, and how long its claim holds when whoever made it is killed.
ATTEMPT_SECONDS, LEASE_SECONDS = 0.5, 3.0


def main() -> None:
    django.setup()
    from jobs.webhooks import sending

    sending.SECONDS = ATTEMPT_SECONDS
    sending.LEASE = timedelta(seconds=LEASE_SECONDS)
    sending.FIRST_WAIT, sending.LONGEST_WAIT = timedelta(milliseconds=50), timedelta(seconds=1)
    call_command("dispatch")


if __name__ == "__main__":
    main()
