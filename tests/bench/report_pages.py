"""The server's time of report pages and lists, in the process of a filled installation. Prints JSON."""

from __future__ import annotations

import itertools
import json
import statistics
import time
from datetime import timedelta

_REPORT = "/admin/pricing/usagerecord/profitability/"
_RECORDS = "/admin/pricing/usagerecord/"
_JOBS = "/admin/jobs/job/"
_GROUPS = ("model", "client", "category", "provider", "day")


def main() -> None:
    from django.contrib.auth.models import User
    from django.test import Client as HttpClient

    from genfeed.clients.models import Client
    from jobs.models import Job
    from pricing.reports.questions import today

    browser = HttpClient(SERVER_NAME="localhost")
    user, _ = User.objects.get_or_create(username="bench", is_superuser=True, is_staff=True)
    browser.force_login(user)
    last, largest = today(), Client.objects.get(name="Client 000").pk
    some_job = Job.objects.order_by("-pk")[Job.objects.all()[:10_000].count() // 2].pk

    def took(url: str, times: int) -> float:
        """The median, in milliseconds."""
        found = []
        for _ in range(times):
            started = time.perf_counter()
            answer = browser.get(url)
            found.append(1000 * (time.perf_counter() - started))
            if answer.status_code != 200:
                raise RuntimeError(f"{url} answers {answer.status_code}")
        return statistics.median(found)

    def days(first: int, until: int = 0) -> str:
        return f"period=days&first={last - timedelta(days=first)}&last={last - timedelta(days=until)}"

    # None of them begins with a month, which would be the easy case.
    periods = {
        "30 days": days(29), "90 days": days(89), "180 days of the past": days(195, 16), "365 days": days(364),
    }  # fmt: skip
    filters = {
        "no filter": "", "one category": "&category=text-to-video", "one provider": "&provider=fal",
        "the largest client": f"&client={largest}", "the most popular model": "&model=fal-ai/year/0000",
        "that client in one category": f"&client={largest}&category=text-to-video",
        "that client and provider": f"&client={largest}&provider=fal",
        "that client and model": f"&client={largest}&model=fal-ai/year/0000",
    }  # fmt: skip
    took(f"{_REPORT}?{periods['30 days']}", 2)
    found: dict[str, tuple[float, float, str]] = {}
    for name, period in periods.items():
        times = {
            f"by {by}, {words}": took(f"{_REPORT}?{period}{narrowed}&by={by}", 3)
            for by, (words, narrowed) in itertools.product(_GROUPS, filters.items())
        }
        slowest = max(times, key=lambda one: times[one])
        note = f" ({slowest}; median {statistics.median(times.values()):.0f} ms)"
        found[f"profitability, {name}: slowest of {len(times)} questions"] = (times[slowest], 300, note)
    lists = {
        "list of jobs, first page": _JOBS, "  page 100": f"{_JOBS}?p=100", "  failed": f"{_JOBS}?status=failed",
        "  succeeded": f"{_JOBS}?status=succeeded", "  of one client": f"{_JOBS}?client=Client+000",
        "  of all clients by a word": f"{_JOBS}?client=Client", "  of a rare model": f"{_JOBS}?model=year/1499",
        "  of a third of the models": f"{_JOBS}?model=year", "  failed, of the largest client":
        f"{_JOBS}?client=Client+000&status=failed", "  of a day": f"{_JOBS}?day={last - timedelta(days=100)}",
        "  found by id": f"{_JOBS}?q={some_job}", "  found by the provider's id": f"{_JOBS}?q=req_{some_job}",
        "  found nothing": f"{_JOBS}?q=nothing",
    }  # fmt: skip
    found |= {name: (took(url, 5), 200, "") for name, url in lists.items()}
    span = f"{_RECORDS}?from={last - timedelta(days=364)}&to={last}"
    records = {
        "usage records of 365 days": span, "  of a model": f"{span}&of_model=fal-ai/year/0000",
        "  of a client": f"{span}&of_client=Client+000", "  of a category": f"{span}&category=text-to-video",
        "  of a provider": f"{span}&provider=fal", "  with an error": f"{span}&error=timeout",
        "  with a feature": f"{span}&feature=resolution%3D1080p", "  refunded": f"{span}&later=refund",
        "  written off": f"{span}&later=write_off",
    }  # fmt: skip
    found |= {name: (took(url, 5), 300, "") for name, url in records.items()}
    found["recommendations"] = (took("/admin/pricing/recommendation/", 5), 300, "")
    found["start page"] = (took("/admin/", 5), 300, "")
    print(json.dumps(found))
