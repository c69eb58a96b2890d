"""Keeping what a provider answered, for staff: in the transaction of what was made of it."""

from __future__ import annotations

from catalog.providers.queue import Answer
from jobs.models import Job, ProviderAnswer
from pricing import sql


def keep(job: Job, answer: Answer | None) -> None:
    """Keeps an answer beside its job; nothing where there was none."""
    if answer is not None:
        sql.insert(
            ProviderAnswer(
                job_id=job.pk, call=answer.call, status=answer.status, headers=answer.headers, body=answer.body
            )
        )
