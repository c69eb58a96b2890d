"""A provider that does as it is told, and a client with money: for tests of single steps.

What really happens over HTTP is tested with the sandbox, in test_with_sandbox.py.
"""

from datetime import datetime
from decimal import Decimal
from typing import Any

from django.utils import timezone

from catalog.providers.queue import (
    Answer,
    FoundRequest,
    Progress,
    QueueError,
    Request,
    Result,
    Submitted,
)
from genfeed.clients.keys import Caller, create_key, find_caller
from genfeed.clients.models import Client
from genfeed.journal.audit import SYSTEM
from jobs.accepting.accept import Wanted, accept
from jobs.dispatching import submitting
from jobs.dispatching.claiming import claim_due, claim_queued
from jobs.dispatching.dispatcher import step_for
from jobs.models import Job
from pricing.ledger.accounts import top_up
from pricing.models import Account
from pricing.money import NANO_PER_USD
from tests.pricing.estimates.sold import IMAGES_OUT, make_sold

USD = NANO_PER_USD
PRICE = 83_333_333  # of one image at 0.025 USD with the shipped margin
COST = 25_000_000
OUTPUT = {"images": [{"url": "https://v3.fal.media/files/a/b.png", "width": 64, "height": 64}], "seed": 1}


def result(
    output: Any = OUTPUT, *, units: str | None = "1", status: int = 200, detail: Any = None, error_type: str = ""
) -> Result:
    """A result as a provider gives it."""
    return Result(
        status=status,
        output=output if 200 <= status < 300 else None,
        units=None if units is None else Decimal(units),
        detail=detail,
        error_type=error_type,
        retryable=None,
        answer=Answer("result", status, {"x-fal-billable-units": str(units)}, "{}"),
    )


class Provider:
    """Answers what its attributes say; a callable or an exception may stand for each answer. Counts its calls."""

    slug = "fal"

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.sent: list[dict[str, Any]] = []
        self.webhooks: list[str] = []
        self.on_submit: Any = None
        self.state = "completed"
        self.position: int | None = None
        self.logs: list[dict[str, Any]] = []
        self.on_progress: Any = None
        self.on_result: Any = result()
        self.on_cancel: Any = "requested"
        self.found: Any = []

    def is_configured(self) -> bool:
        return True

    def close(self) -> None: ...

    def submit(
        self,
        endpoint_id: str,
        input: dict[str, Any],
        *,
        version: str = "",
        webhook_url: str = "",
        low_priority: bool = False,
    ) -> Submitted:
        self.calls.append("submit")
        self.sent.append(input)
        self.webhooks.append(webhook_url)
        self._told(self.on_submit)
        return Submitted(Request(endpoint_id, f"req-{len(self.sent)}"), 3, Answer("submit", 200))

    def progress(self, request: Request, *, logs: bool = False) -> Progress:
        self.calls.append("status")
        self._told(self.on_progress)
        return Progress(self.state, self.position, self.logs, "", "", Answer("status", 202))

    def result(self, request: Request) -> Result:
        self.calls.append("result")
        return self._told(self.on_result)

    def cancel(self, request: Request) -> str:
        self.calls.append("cancel")
        return self._told(self.on_cancel)

    def find(self, endpoint_id: str, *, since: datetime) -> list[FoundRequest]:
        self.calls.append("find")
        return self._told(self.found)

    @staticmethod
    def _told(what: Any) -> Any:
        if isinstance(what, QueueError):
            raise what
        return what() if callable(what) else what


def make_caller(usd: int = 10, name: str = "Acme", **columns: Any) -> Caller:
    """A client with a balance, and the caller that its key speaks for; `columns` of the client's row."""
    columns = {"jobs_per_minute": 10_000, **columns}
    client, is_new = Client.objects.get_or_create(name=name, defaults=columns)
    if is_new and usd:
        top_up(client.pk, usd * USD, actor=SYSTEM, reason="paid")
    _, text = create_key(client, actor=SYSTEM, scopes=["jobs:write", "jobs:read"])
    caller = find_caller(text)
    assert caller is not None
    return caller


def make_job(caller: Caller | None = None, **wanted: Any) -> Job:
    """An accepted job of a model that costs 0.025 USD an image."""
    from catalog.models import AIModel

    if not AIModel.objects.filter(endpoint_id="fal-ai/flux/dev").exists():
        make_sold(outputs=IMAGES_OUT)
    asked = {"model": "fal-ai/flux/dev", "input": {"prompt": "a fox"}, **wanted}
    return accept(Wanted(**asked), caller or make_caller())


def submit(provider: Provider, job: Job) -> Job:
    """Claims the queued jobs and sends this one."""
    for claimed in claim_queued(100):
        if claimed.pk == job.pk:
            submitting.apply(claimed, submitting.ask(provider, claimed))
    job.refresh_from_db()
    return job


def look(provider: Provider, job: Job) -> Job:
    """One look of the dispatcher, as if its time had come."""
    Job.objects.filter(pk=job.pk).update(next_at=timezone.now())
    for claimed in claim_due(100):
        if claimed.pk == job.pk:
            step = step_for(claimed)
            step.apply(claimed, step.ask(provider, claimed))
    job.refresh_from_db()
    return job


def submitted(provider: Provider | None = None, **wanted: Any) -> tuple[Provider, Job]:
    """A job at the provider."""
    provider = provider or Provider()
    return provider, submit(provider, make_job(**wanted))


def set_job(job: Job, **columns: Any) -> Job:
    """Turns the clock for a job, for example."""
    Job.objects.filter(pk=job.pk).update(**columns)
    job.refresh_from_db()
    return job


def money(job: Job) -> tuple[int, int, int]:
    """available, held, spent of the job's client."""
    account = Account.objects.get(client_id=job.client_id)
    return account.available, account.held, account.spent


def kinds(job: Job) -> list[str]:
    """The kinds of the job's events, in order."""
    return list(job.events.order_by("number").values_list("kind", flat=True))
