"""Jobs over HTTP: made, read, listed, canceled."""

from dataclasses import replace
from typing import Any

from django.http import HttpRequest, HttpResponse
from ninja import Query, Router, Schema
from pydantic import Field

from catalog.api_shapes import ErrorShape
from genfeed.clients.auth import RequireScope
from genfeed.clients.parameters import Moment, refuse_unknown_parameters
from jobs import api_shapes as shapes
from jobs.accepting.accept import Wanted, accept
from jobs.accepting.asking import read_wanted
from jobs.accepting.idempotency import digest_of_request, key_of, once
from jobs.accepting.own_keys import HEADER
from jobs.assets.api import base_url_of
from jobs.assets.rendering import assets_of
from jobs.canceling import cancel
from jobs.dispatching.ahead import ahead_of
from jobs.fallback.accepting import accept_with_fallback
from jobs.fallback.asking import read_fallback
from jobs.models import Job
from jobs.own_rows import caller_of, find_own, json_answer, page_of, shows_cost
from jobs.rendering import job_bytes, render_job

jobs_router = Router(tags=["Jobs"])

_CREATE_ERRORS = dict.fromkeys((400, 401, 402, 403, 404, 409, 410, 413, 422, 429, 503), ErrorShape)
_READ_ERRORS = dict.fromkeys((400, 401, 403, 404, 429), ErrorShape)
# What no list shows; an input may be as large as a request.
_UNSHOWN = ("input", "terms", "urls", "log_mark", "own_key")


class JobFilters(Schema):
    status: shapes.StatusName | None = None
    model: str | None = Field(None, max_length=300)
    batch: str | None = Field(None, max_length=40, pattern=r"^[^\x00]*$", description="Only jobs of this batch.")
    workflow: str | None = Field(None, max_length=40, pattern=r"^[^\x00]*$", description="Only jobs of this workflow.")
    created_after: Moment | None = None
    created_before: Moment | None = None
    limit: int = Field(20, ge=1, le=100)
    cursor: str | None = Field(None, max_length=60, description="next_cursor of the page before.")


@jobs_router.post(
    "/jobs",
    auth=RequireScope("jobs:write"),
    response={201: shapes.JobShape, **_CREATE_ERRORS},
    summary="Run a model",
    operation_id="create_job",
)
def create_job(request: HttpRequest, body: shapes.JobBody) -> HttpResponse:
    """Accepts one generation request, reserves what it may cost, and answers at once; the job runs in the background.

    `fallback` names models to run instead where the one that is asked for can't be had.
    In core mode `X-Provider-Key` carries a key of your own at the model's provider for this job alone.
    Send an `Idempotency-Key` to be able to repeat the request without running it twice. Any answer but 201 means that
    nothing was accepted, nothing runs and nothing is charged.
    """
    caller = caller_of(request)
    wanted = _wanted(request, body)

    def work(keep: Any) -> HttpResponse:
        rendered: list[bytes] = []

        def beside(job: Job) -> None:
            rendered.append(job_bytes(job, shows_cost=shows_cost(request), base_url=base_url_of(request)))
            keep(201, rendered[0])

        if body.fallback:
            accept_with_fallback(wanted, read_fallback(body.fallback), caller, beside=beside)
        else:
            accept(wanted, caller, beside=beside)
        return HttpResponse(rendered[0], content_type="application/json", status=201)

    return once(request, caller.client_id, work)


@jobs_router.get(
    "/jobs",
    auth=RequireScope("jobs:read"),
    response={200: shapes.JobPage, **_READ_ERRORS},
    summary="List jobs",
    operation_id="list_jobs",
)
def list_jobs(request: HttpRequest, filters: Query[JobFilters]) -> HttpResponse:
    """Your jobs, newest first."""
    refuse_unknown_parameters(request, JobFilters)
    jobs = Job.objects.filter(client_id=caller_of(request).client_id).defer(*_UNSHOWN)
    if filters.status:
        jobs = jobs.filter(status=filters.status)
    if filters.model:
        jobs = jobs.filter(endpoint_id=filters.model.rpartition(":")[2].replace("\x00", ""))
    if filters.batch:
        jobs = jobs.filter(batch_id=filters.batch)
    if filters.workflow:
        jobs = jobs.filter(workflow_id=filters.workflow)
    if filters.created_after:
        jobs = jobs.filter(created_at__gte=filters.created_after)
    if filters.created_before:
        jobs = jobs.filter(created_at__lt=filters.created_before)
    shown, more = page_of(jobs, cursor=filters.cursor, limit=filters.limit)
    files, ahead, base_url = assets_of(shown), ahead_of(shown), base_url_of(request)
    items = [
        render_job(
            job,
            shows_cost=shows_cost(request),
            assets=files.get(job.pk, []),
            base_url=base_url,
            ahead=ahead.get(job.pk),
        )
        for job in shown
    ]
    return json_answer({"items": items, "next_cursor": more})


@jobs_router.get(
    "/jobs/{job_id}",
    auth=RequireScope("jobs:read"),
    response={200: shapes.JobShape, **_READ_ERRORS},
    summary="Get a job",
    operation_id="get_job",
)
def get_job(request: HttpRequest, job_id: str) -> HttpResponse:
    """One job: its status, and its output once it has succeeded."""
    return _answer(request, _find(request, job_id))


@jobs_router.post(
    "/jobs/{job_id}/cancel",
    auth=RequireScope("jobs:write"),
    response={200: shapes.JobShape, 409: ErrorShape, **_READ_ERRORS},
    summary="Cancel a job",
    operation_id="cancel_job",
)
def cancel_job(request: HttpRequest, job_id: str) -> HttpResponse:
    """Cancels a queued job at once. One that runs becomes `canceling`; if it succeeds all the same, it is charged."""
    return _answer(request, cancel(_find(request, job_id)))


def _wanted(request: HttpRequest, body: shapes.JobBody) -> Wanted:
    wanted = read_wanted(
        body.model,
        input=body.input,
        media=body.media,
        webhook_url=body.webhook_url,
        max_price=body.max_price,
        cache=body.cache,
        metadata=body.metadata,
        priority=body.priority,
        idempotency_key=key_of(request),
        body_digest=digest_of_request(request),
    )
    return replace(wanted, provider_key=request.headers.get(HEADER, "").strip())


def _find(request: HttpRequest, job_id: str) -> Job:
    return find_own(Job.objects.all(), job_id, request, word="job", listed_at="jobs")


def _answer(request: HttpRequest, job: Job) -> HttpResponse:
    ahead = ahead_of([job]).get(job.pk)
    body = job_bytes(job, shows_cost=shows_cost(request), base_url=base_url_of(request), ahead=ahead)
    return HttpResponse(body, content_type="application/json")
