"""What a provider answered, kept for staff: written with what was made of it."""

from __future__ import annotations

from catalog.providers.queue import Answer
from jobs.models import Job, ProviderAnswer


def kept(job: Job, answer: Answer | None) -> list[ProviderAnswer]:
    """The row that keeps an answer beside its job; none where there was no answer."""
    if answer is None:
        return []
    return [
        ProviderAnswer(job_id=job.pk, call=answer.call, status=answer.status, headers=answer.headers, body=answer.body)
    ]
