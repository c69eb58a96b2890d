"""Requests that turn up at the provider after their job was given up: not delivered, and their bill is our loss."""

from __future__ import annotations

from catalog.providers.queue import Request
from genfeed.journal.alerts import raise_alert
from genfeed.journal.models import Alert
from jobs.models import Job, ProviderAnswer


def note_orphan(job: Job, request: Request) -> None:
    """Keeps what is known of the request, so that its bill finds the job, and tells staff."""
    if ProviderAnswer.objects.filter(job=job, call="orphan", body=request.request_id).exists():
        return
    ProviderAnswer.objects.create(job=job, call="orphan", status=0, body=request.request_id)
    raise_alert(
        "orphaned_request",
        job.pk,
        f"Job {job.pk} was given up, and {job.provider} ran it all the same",
        f"Request {request.request_id} is not delivered; what it costs is booked as a loss when its bill comes.",
        level=Alert.Level.WARNING,
        url=f"/admin/jobs/job/{job.pk}/",
    )
