"""A picture, a film of it, and what else tests of workflows are made of."""

from typing import Any

import orjson
from django.db.models import F
from django.test import Client as HttpClient

from catalog.providers.queue import Result
from genfeed.clients.keys import Caller, create_key
from genfeed.clients.models import Client
from genfeed.journal.audit import SYSTEM
from genfeed.journal.models import OutboxEvent
from jobs import failures
from jobs.assets.models import Asset
from jobs.ending.finishing import fail, finish
from jobs.models import Job, Status, WorkflowRun
from jobs.workflows.accepting import accept_workflow
from jobs.workflows.advancing import advance
from jobs.workflows.api_shapes import WorkflowRunBody
from jobs.workflows.asking import read_workflow
from pricing.models import Account
from tests.jobs.doubles import OUTPUT, result
from tests.pricing.estimates.sold import DURATION, IMAGE_URL, IMAGES_OUT, NUM_IMAGES, PROMPT, VIDEO_OUT, make_sold

PICTURE = {"name": "picture", "model": "fal-ai/flux/dev", "input": {"prompt": "a fox"}}
IMAGE_REF = {"$ref": "steps.picture.output.images.0.url"}
FILM = {"name": "film", "model": "fal-ai/film", "input": {"prompt": "it runs", "image_url": IMAGE_REF}}
FILM_OUTPUT = {"video": {"url": "https://v3.fal.media/files/a/b.mp4"}}
PICTURE_PRICE, FILM_PRICE = 83_333_333, 1_666_666_667


def make_models() -> None:
    """$0.025 an image, $0.10 a second of film; what clients pay is by the shipped margin."""
    make_sold(inputs=[PROMPT, NUM_IMAGES], outputs=IMAGES_OUT)
    make_sold(
        "fal-ai/film", "0.10", "seconds", inputs=[PROMPT, IMAGE_URL, DURATION], outputs=VIDEO_OUT,
        media_type="video", category="image-to-video",
    )  # fmt: skip


def make_flow(caller: Caller, *steps: dict[str, Any], **body: Any) -> WorkflowRun:
    """An accepted workflow; of a picture and a film of it where no steps are given."""
    if "template" not in body:
        body["steps"] = list(steps) or [PICTURE, FILM]
    wanted = read_workflow(WorkflowRunBody.model_validate(body), caller)
    return accept_workflow(wanted, caller)


def forward(run: WorkflowRun) -> WorkflowRun:
    """Brings a workflow forward, as a dispatcher does."""
    advance(run.pk)
    run.refresh_from_db()
    return run


def steps_of(run: WorkflowRun) -> dict[str, list[str]]:
    """Where the runs of each step stand."""
    found: dict[str, list[str]] = {}
    for row in run.steps.order_by("pk"):
        found.setdefault(row.name, []).append(row.status)
    return found


def job_of(run: WorkflowRun, name: str, index: int = 0) -> Job:
    """The job of a run of a step."""
    job = run.steps.get(name=name, index=index).job
    assert job is not None, f"{name} {index} has no job"
    return job


def at_provider(job: Job) -> Job:
    """The job as if a provider had it."""
    Job.objects.filter(pk=job.pk).update(status=Status.SUBMITTED)
    job.refresh_from_db()
    return job


def succeed(job: Job, output: Any = None, *, stores: bool = True) -> Job:
    """Ends a job well, and stores its files."""
    made: Result = result(output or (FILM_OUTPUT if job.endpoint_id == "fal-ai/film" else OUTPUT))
    assert finish(at_provider(job), made)
    if stores:
        Asset.objects.filter(job=job).update(state=Asset.State.STORED, width=64, height=64)
    job.refresh_from_db()
    return job


def lose(job: Job) -> Job:
    """Ends a job badly."""
    assert fail(at_provider(job), failures.NO_MEDIA)
    job.refresh_from_db()
    return job


def leave(caller: Caller, amount: int) -> None:
    """So much is left of the client's money."""
    account = Account.objects.filter(client_id=caller.client_id)
    account.update(available=amount, funded=F("held") + F("spent") + amount)


def told(run: WorkflowRun) -> list[str]:
    """What was told of a workflow."""
    return list(OutboxEvent.objects.filter(subject=run.pk).order_by("pk").values_list("kind", flat=True))


def http_of(caller: Caller, *scopes: str, **key: Any) -> HttpClient:
    """The API as the caller's client calls it."""
    client = Client.objects.get(pk=caller.client_id)
    _, text = create_key(client, actor=SYSTEM, scopes=scopes or ["jobs:write", "jobs:read"], **key)
    return HttpClient(headers={"Authorization": f"Bearer {text}"})


def send(
    http: HttpClient, path: str, body: Any = None, *, method: str = "post", status: int = 200, **headers: str
) -> Any:
    """The JSON answer to a request with JSON; fails where the status is another."""
    content = b"" if body is None else orjson.dumps(body)
    answer = http.generic(method.upper(), f"/api/v1{path}", content, content_type="application/json", headers=headers)
    assert answer.status_code == status, answer.content
    return orjson.loads(answer.content) if answer.content else None
