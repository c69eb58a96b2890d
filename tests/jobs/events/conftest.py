"""Clients, their jobs, and what is read from streams of events."""

from collections.abc import Callable
from typing import Any

import orjson
import pytest
from django.db import transaction
from django.test import Client as HttpClient

from genfeed.clients.models import Client
from genfeed.journal.models import OutboxEvent
from jobs.models import Job
from jobs.transitions import touch
from tests.jobs.doubles import make_caller, make_job

SSE = {"Accept": "text/event-stream"}


@pytest.fixture
def acme(make_key: Callable[..., str]) -> HttpClient:
    """An HTTP client with a key of Acme that reads jobs."""
    make_caller()
    return HttpClient(headers={"Authorization": f"Bearer {make_key('jobs:read')}"})


@pytest.fixture
def job(acme: HttpClient) -> Job:
    """A queued job of Acme's."""
    return make_job(make_caller())


def tell_progress(job: Job, **data: Any) -> None:
    """One more event of a job."""
    with transaction.atomic():
        assert touch(job, event="job_progress", data=data)


def tell(client: str, kind: str = "balance.low", **payload: Any) -> OutboxEvent:
    """An event of a client that is about no job."""
    client_id = Client.objects.get_or_create(name=client)[0].pk
    return OutboxEvent.objects.create(kind=kind, subject="x", client_id=client_id, payload=payload)


def blocks(body: bytes) -> list[dict[str, Any]]:
    """The events of a stream as a browser would dispatch them: id, event, data."""
    found, last = [], ""
    for block in body.decode().split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.split("\n") if line and not line.startswith(":"))
        last = fields.get("id", last)
        if "data" in fields:
            found.append({"id": last, "event": fields.get("event"), "data": orjson.loads(fields["data"])})
    return found
