"""How cost grows with jobs that have been: 10,000, 100,000 and a million of a year, on PostgreSQL.

`python -m tests.bench.growing_jobs SQLite [SIZE …]`: the same there, or with other sizes.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from datetime import timedelta

from tests.bench.inside import Api, claimed, installation, once, run, took
from tests.bench.processes import manage
from tests.bench.reports import _INCREMENT
from tests.bench.rows import Row, growing

SIZES = (10_000, 100_000, 1_000_000)
# The largest client's, whose jobs are a tenth of all. More than noise, less than what a missing index costs.
MOST = 2.0
QUEUED = 200
_FLAT = {
    "POST /jobs": "accept",
    "GET /jobs, the first page": "list",
    "GET /jobs/{id}": "detail",
    f"20 of {QUEUED} queued jobs claimed": "claim",
    "  nothing due at the provider": "due",
    "GET /balance": "balance",
    "admin list of jobs": "admin",
}


def measure(name: str = "PostgreSQL", sizes: Sequence[int] = SIZES) -> Iterator[Row]:
    """One installation that grows; the jobs that have been are made as rows."""
    found: dict[int, dict[str, float]] = {}
    with installation("jobs", name) as settings:
        for size in sizes:
            found[size] = _at(size, settings)
    yield Row(f"settled jobs of a year, {name}", " / ".join(f"{size:,}" for size in sizes))
    for what, key in _FLAT.items():
        yield growing(what, {size: one[key] for size, one in found.items()}, "ms", MOST)
    reports = {"profitability of 30 days": "month", "  of the year": "year", "a day rolled up": "increment"}
    for what, key in reports.items():
        yield growing(what, {size: one[key] for size, one in found.items()}, "ms")


def _at(size: int, settings: dict[str, str]) -> dict[str, float]:
    run(settings, f"past_year.main({size})")
    manage(settings, "rebuild_rollups")
    printed = manage(settings, "shell", "--no-imports", "-c", _INCREMENT).output.strip().splitlines()[-1]
    return run(settings, "growing_jobs.inside()") | {"increment": 1000 * json.loads(printed)["seconds"]}


def inside() -> dict[str, float]:
    """The server's time, in milliseconds."""
    from django.utils import timezone

    from catalog.models import AIModel
    from genfeed.clients.keys import create_key
    from genfeed.clients.models import Client
    from genfeed.journal.audit import SYSTEM
    from jobs.dispatching import claiming
    from jobs.models import Job
    from pricing.ledger.accounts import top_up
    from pricing.reports.questions import today
    from tests.pricing.estimates.sold import IMAGES_OUT, make_sold

    if not AIModel.objects.filter(endpoint_id="fal-ai/flux/dev").exists():
        make_sold("fal-ai/flux/dev", outputs=IMAGES_OUT)
    # What the size before has left in the queue.
    Job.objects.filter(status="queued").update(status="canceled", finished_at=timezone.now())
    client = Client.objects.get(name="Client 000")
    Client.objects.filter(pk=client.pk).update(
        jobs_per_minute=1_000_000, reads_per_minute=10_000_000, max_in_flight=100_000, max_queued=1_000_000
    )
    top_up(client.pk, 10**15, actor=SYSTEM, reason="bench")
    scopes = ["jobs:write", "jobs:read", "models:read", "usage:read"]
    api = Api(create_key(Client.objects.get(pk=client.pk), actor=SYSTEM, scopes=scopes)[1])
    body = {"model": "fal-ai/flux/dev", "input": {"prompt": "a fox"}}
    found = {"accept": took(lambda: api.post("jobs", body, 201), QUEUED + 100)}
    some = api.post("jobs", body, 201).json()["id"]
    report = f"pricing/usagerecord/profitability/?period=days&last={today()}&first={{}}"
    found |= {
        "list": took(lambda: api.get("jobs"), 31),
        "detail": took(lambda: api.get(f"jobs/{some}"), 31),
        "due": took(lambda: claiming.claim_due(20), 31),
        "claim": claimed(20),
        "balance": took(lambda: api.get("balance"), 31),
        "admin": took(lambda: api.admin("jobs/job/"), 5),
        "month": took(lambda: api.admin(report.format(today() - timedelta(days=29))), 3),
        "year": once(lambda: api.admin(report.format(today() - timedelta(days=364)))),
    }
    return found


if __name__ == "__main__":
    for row in measure(sys.argv[1], [int(size) for size in sys.argv[2:]] or SIZES):
        print(row, flush=True)
