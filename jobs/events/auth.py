"""Who may read the events of a job without a key: whoever has its `events_url`."""

from __future__ import annotations

from django.http import HttpRequest

from genfeed.clients.auth import Identity
from genfeed.clients.errors import ApiError
from genfeed.clients.keys import caller_of
from genfeed.clients.limits.reads import limit_request
from genfeed.clients.models import ApiKey
from jobs.events.links import check_token
from jobs.models import Job


def by_token(request: HttpRequest) -> Identity | None:
    """The client of the job in the address, where the address carries the job's token; None where it carries none.

    Raises ApiError `unauthorized` for a token that is wrong or has passed, and where the client asks too often.
    """
    token = request.GET.get("token")
    if token is None:
        return None
    match = request.resolver_match
    job_id = str(match.kwargs["job_id"]) if match else ""
    check_token(job_id, token)
    job = Job.objects.filter(pk=job_id[:40], client__is_active=True).select_related("client").first()
    if job is None:
        raise ApiError("not_found", f"There is no job {job_id[:60]!r}.", "List your jobs at /api/v1/jobs.")
    # It stands for its client, as a key that can do nothing else would.
    caller = caller_of(ApiKey(pk=0, client=job.client, name="events_url", scopes=["jobs:read"]))
    limit_request(caller)
    return Identity(key=caller)
