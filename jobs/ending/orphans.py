"""Requests that turn up at the provider after their job was given up: not delivered, and their bill is our loss."""

from __future__ import annotations

from catalog.models import Provider
from catalog.providers.queue import Request
from genfeed.journal.alerts import raise_alert
from genfeed.journal.models import Alert
from jobs.models import Job
from jobs.testmode.mode import is_test
from pricing.models import StrayRequest


def note_orphan(job: Job, request: Request) -> None:
    """Remembers the request, so that its bill finds the job, and tells staff; once."""
    if is_test(job):
        return
    provider = Provider.objects.get(slug=job.provider)
    known = {"provider": provider, "request_id": request.request_id}
    _, is_new = StrayRequest.objects.get_or_create(**known, defaults={"job": job.pk})
    if not is_new:
        return
    raise_alert(
        "orphaned_request",
        job.pk,
        f"Job {job.pk} was given up, and {job.provider} ran it all the same",
        f"Request {request.request_id} is not delivered; what it costs is booked as a loss when its bill comes.",
        level=Alert.Level.WARNING,
        url=f"/admin/jobs/job/{job.pk}/",
    )
