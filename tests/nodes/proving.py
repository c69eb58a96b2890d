"""`python -m tests.nodes.proving`: says what is in the database, a JSON object for each line that it reads.

A process of its own, with the settings of the installation that it looks at.
"""

import json
import sys
import time
from collections import Counter
from datetime import timedelta
from typing import Any

import django

# A worker looks for schedules every half a minute.
_LATE = timedelta(seconds=90)
_BEGAN = time.monotonic()
# What a schedule may be ahead of us: the fleet has begun a moment earlier.
_AHEAD_SECONDS = 60.0
# Schedules are due from the migration on, and a worker looks for them half a minute after each of its starts.
_SETTLED_SECONDS = 180.0


def main() -> None:
    django.setup()
    for line in sys.stdin:
        asked = json.loads(line)
        print(json.dumps(_look(**asked)), flush=True)


def _look(*, patience: float, full: bool) -> dict[str, Any]:
    """Waits until nothing is under way; then what there is. Not `full`: only what is still under way."""
    from django.db import close_old_connections

    close_old_connections()
    until = time.monotonic() + patience
    while (left := _under_way()) and time.monotonic() < until:
        time.sleep(0.2)
    return {"under_way": left, **(_found() if full else {})}


def _under_way() -> dict[str, int]:
    """What must come to an end by itself, by what it is."""
    from genfeed.journal.models import OutboxEvent
    from jobs.assets.models import Asset
    from jobs.models import OPEN, Job, WebhookDelivery

    counts = {
        "jobs without an outcome": Job.objects.filter(status__in=OPEN).count(),
        "events that nobody was told of": OutboxEvent.objects.filter(delivered_at=None).count(),
        "webhooks on their way": WebhookDelivery.objects.filter(status="pending").count(),
        "files on their way": Asset.objects.filter(state="pending").count(),
    }
    return {words: count for words, count in counts.items() if count}


def _found() -> dict[str, Any]:
    from django.db.models import Count, F, Q, Sum
    from django.utils import timezone
    from django_q.models import OrmQ, Schedule, Task

    from genfeed.journal.models import Alert
    from jobs.assets.models import Asset
    from jobs.models import Job, JobEvent, WebhookDelivery, WebhookMessage
    from pricing.ledger.checking import check_ledger
    from pricing.models import Account, LedgerTransaction, StrayRequest, UsageRecord

    ends = ["job_succeeded", "job_failed", "job_canceled"]
    account = Account.objects.get(client__name="Load")

    def twice(rows: Any, *by: str) -> int:
        return int(rows.values(*by).annotate(n=Count("pk")).filter(n__gt=1).count())

    late = Schedule.objects.filter(Q(next_run__lt=timezone.now() - _LATE) & ~Q(repeats=0))
    errors = Job.objects.exclude(error=None).values_list("error", flat=True)
    return {
        "jobs": sorted(Job.objects.values_list("pk", flat=True)),
        "by": Counter(Job.objects.values_list("status", flat=True)),
        "codes": Counter(error["code"] for error in errors),
        "ended_once": JobEvent.objects.filter(kind__in=ends).values("job").distinct().count(),
        "ended_twice": twice(JobEvent.objects.filter(kind__in=ends), "job"),
        "closed_twice": twice(LedgerTransaction.objects.filter(kind__in=["settle", "release"]), "job"),
        "records": UsageRecord.objects.count(),
        "charged": Job.objects.aggregate(n=Sum("charge"))["n"] or 0,
        "account": [account.available, account.held, account.spent],
        "orphans": StrayRequest.objects.count(),
        "ledger": [f"{one.invariant} {one.subject}: {one.words}" for one in check_ledger()],
        "events": sorted(JobEvent.objects.values_list("job_id", "number")),
        "told": sorted([*one] for one in WebhookMessage.objects.values_list("kind", "subject")),
        "deliveries": Counter(WebhookDelivery.objects.values_list("status", flat=True)),
        "files": Counter(Asset.objects.values_list("state", flat=True)),
        "tasks": Counter(Task.objects.exclude(group=None).values_list("group", flat=True)),
        "failed_tasks": sorted(Task.objects.filter(success=False).values_list("func", "result"))[:5],
        "waiting_tasks": OrmQ.objects.count(),
        "schedules_run_twice": _run_twice(),
        "late_schedules": late.count() if time.monotonic() - _BEGAN > _SETTLED_SECONDS else 0,
        "alerts": sorted(Alert.objects.filter(resolved_at=None).values_list("code", flat=True)),
        "alerts_ever": sorted(Alert.objects.values_list("code", flat=True).distinct()),
        "longest_wait": max(
            (one.total_seconds() for one in Job.objects.annotate(n=F("finished_at") - F("created_at"))
             .values_list("n", flat=True) if one), default=0.0,
        ),
    }  # fmt: skip


def _run_twice() -> dict[str, int]:
    """Schedules that were run more often than their time has come, and how often."""
    from django_q.models import OrmQ, Schedule, Task

    seconds = time.monotonic() - _BEGAN + _AHEAD_SECONDS
    # One that has just been done may still stand in the queue.
    waiting = {(one.task["id"], str(one.task.get("group", ""))) for one in OrmQ.objects.all()}
    ran = Counter(group for _, group in waiting.union(Task.objects.exclude(group=None).values_list("id", "group")))
    wrong = {}
    for one in Schedule.objects.all():
        period = 60.0 * (one.minutes or 1) if one.schedule_type == Schedule.MINUTES else 3_600.0
        name = one.name or str(one.pk)
        # Once when it was made, and once for each period since.
        if ran[name] > 1 + seconds // period:
            wrong[name] = ran[name]
    return wrong


if __name__ == "__main__":
    main()
