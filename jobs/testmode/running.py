"""The connection that a job's calls go through: to its provider, or of a test job to the sandbox."""

from __future__ import annotations

from typing import Any

from catalog.models import AIModel, SchemaVersion
from catalog.providers import queue, sandbox_queue
from catalog.providers.queue import QueueInterface
from catalog.providers.sandbox_queue import SandboxQueue
from jobs.accepting.own_keys import key_of
from jobs.models import Job
from jobs.testmode.mode import is_test
from jobs.testmode.triggers import triggers_of


def open_for(job: Job) -> QueueInterface:
    """A new connection for calls about the job. Raises KeyRefusedError."""
    return sandbox_queue.open_sandbox(job.provider) if is_test(job) else queue.open_queue(job.provider, key_of(job))


def with_model(opened: QueueInterface, job: Job) -> QueueInterface:
    """The connection, ready to send the job: the sandbox is told which model it is, and what shall happen."""
    if not isinstance(opened, SandboxQueue) or job.request_id:
        return opened
    return opened.with_model(_document(job), triggers_of(job.metadata, job.input).effects)


def _document(job: Job) -> dict[str, Any]:
    """The model's document as it was when the job was accepted, with its category, from which files follow."""
    version = SchemaVersion.objects.filter(model=job.model_id, number=job.schema_version).first()
    document: dict[str, Any] = version.unpacked["document"] if version else {}
    info = document.get("info") or {}
    known = info.get("x-fal-metadata") or {}
    category = known.get("category") or AIModel.objects.values_list("category", flat=True).get(pk=job.model_id)
    return {**document, "info": {**info, "x-fal-metadata": {**known, "category": category}}}
