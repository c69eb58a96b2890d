"""Running a failed or canceled job once more, by staff: a new job of the same client, accepted as its key would.

The client pays for it by its terms, as for any job: the one that failed has cost it nothing. Where the failure was ours
and it was charged, staff refund it.
"""

from __future__ import annotations

from genfeed.clients.errors import ApiError
from genfeed.clients.keys import caller_of
from genfeed.clients.models import ApiKey
from genfeed.journal.audit import Actor, Change, record
from jobs.accepting.accept import Wanted, accept
from jobs.models import Job, Status


def retry(job: Job, *, actor: Actor, reason: str) -> Job:
    """Accepts a new job like one that failed or was canceled; audited in the transaction that accepts it.

    Raises ApiError: a job that did neither, a key that is no longer used, and whatever refuses any job.
    """
    if job.status not in (Status.FAILED, Status.CANCELED):
        raise ApiError("conflict", f"The job is {job.status}.", "Only failed and canceled jobs can be run again.")
    if not reason.strip():
        raise ApiError("invalid_request", "A reason is missing.", "Say why: it stays in the audit.")
    if job.key_source == "request":
        raise ApiError(
            "conflict",
            "The job came with a provider key of its own, which was erased when it ended.",
            "Its client can send the request again with the key.",
        )
    if job.secret_fields:
        raise ApiError(
            "conflict",
            f"The input held secrets ({', '.join(job.secret_fields)}), which were erased when the job ended.",
            "Its client can send the request again with them.",
        )
    key = ApiKey.objects.select_related("client").filter(pk=job.key_id or 0).first()
    if key is None or key.state != "active" or not key.client.is_active:
        raise ApiError(
            "conflict",
            "The key that the job came with is not in use any more.",
            "Its client can send the request again with another key.",
        )
    wanted = Wanted(
        model=f"{job.provider}:{job.endpoint_id}",
        input=job.input,
        webhook_url=job.webhook_url,
        max_price=job.max_price,
        metadata=job.metadata,
        low_priority=job.priority == Job.Priority.LOW,
    )

    def audit(made: Job) -> None:
        record("job.retried", [Change(job, after={"new_job": made.pk})], actor=actor, reason=reason)
        record("job.made_by_retry", [Change(made, after={"retry_of": job.pk})], actor=actor, reason=reason)

    return accept(wanted, caller_of(key), beside=audit)
