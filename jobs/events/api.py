"""Events over HTTP: as a list, and live as server-sent events."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson
from django.http import HttpRequest, HttpResponse
from ninja import Field, Query, Router, Schema

from catalog.api_shapes import ErrorShape
from genfeed.clients.answer_kinds import also_as
from genfeed.clients.auth import Identity, RequireScope
from genfeed.clients.errors import ApiError
from genfeed.clients.parameters import refuse_unknown_parameters
from genfeed.journal import following
from genfeed.journal.positions import NotAPositionError, Position, parse_position
from jobs.api_shapes import ClientEventPage, JobEventPage
from jobs.events.auth import by_token
from jobs.events.opening import last_event_id, nothing_more, number_in, open_stream, wants_stream
from jobs.events.reading import Item, client_item, of_client, of_job
from jobs.events.slots import Slot
from jobs.events.streaming import EventStream, read_client, read_job
from jobs.models import Job

events_router = Router(tags=["Events"])
_ERRORS = dict.fromkeys((400, 401, 403, 404, 429), ErrorShape)
_STREAM = "With `Accept: text/event-stream` (or `stream=1`) they are told live as server-sent events, "


class JobEventFilters(Schema):
    after: str = Field("", max_length=60, description="Number of the last event that you know.")
    limit: int = Field(100, ge=1, le=500)
    stream: bool = Field(False, description="Server-sent events, whatever the Accept header says.")
    token: str | None = Field(None, max_length=200, description="Comes with the job's `events_url`.")


class ClientEventFilters(Schema):
    after: str = Field("", max_length=60, description="`id` of the last event that you know; empty: from now on.")
    job: str = Field("", max_length=2000, description="Only events of these jobs, by commas.")
    type: str = Field("", max_length=500, description="Only these types, by commas; `job_*` for all that begin so.")
    limit: int = Field(100, ge=1, le=500)
    stream: bool = Field(False, description="Server-sent events, whatever the Accept header says.")


@events_router.get(
    "/jobs/{job_id}/events",
    auth=RequireScope("jobs:read", instead=by_token),
    response={200: JobEventPage, 204: None, **_ERRORS},
    summary="Events of a job",
    operation_id="list_job_events",
    openapi_extra=also_as("text/event-stream"),
    description=(
        "What happened to a job so far, oldest first. "
        + _STREAM
        + "to the last one of the job; `id` is the event's number, and `Last-Event-ID` (or `after`) goes on after it. "
        "204: the last event is known already. The job's `events_url` needs no key."
    ),
)
def list_job_events(request: HttpRequest, job_id: str, filters: Query[JobEventFilters]) -> HttpResponse:
    refuse_unknown_parameters(request, JobEventFilters)
    client_id = _client_of(request)
    job = Job.objects.filter(pk=job_id[:40].replace("\x00", ""), client_id=client_id).only("status").first()
    if job is None:
        raise ApiError("not_found", f"There is no job {job_id[:60]!r}.", "List your jobs at /api/v1/jobs.")
    after = number_in(last_event_id(request))
    if wants_stream(request, stream=filters.stream):
        answer = _job_stream(request, client_id, job, after)
    else:
        events = of_job(job.pk, after, limit=filters.limit + 1)
        shown = events[: filters.limit]
        more = str(shown[-1]["number"]) if len(events) > filters.limit else None
        answer = _json({"items": shown, "next_cursor": more})
    if filters.token is not None:
        # The address itself is the secret: whoever has it may read it from any page. No cookie is asked for.
        answer.headers["Access-Control-Allow-Origin"] = "*"
        answer.headers["Referrer-Policy"] = "no-referrer"
    return answer


@events_router.get(
    "/events",
    auth=RequireScope("jobs:read"),
    response={200: ClientEventPage, **_ERRORS},
    summary="Events of all jobs, and of the account",
    operation_id="list_events",
    openapi_extra=also_as("text/event-stream"),
    description=(
        "Events of all your jobs and of your account after a place, oldest first; without `after` the place of now. "
        + _STREAM
        + "for as long as you listen; `Last-Event-ID` (or `after`) goes on where you were."
    ),
)
def list_events(request: HttpRequest, filters: Query[ClientEventFilters]) -> HttpResponse:
    refuse_unknown_parameters(request, ClientEventFilters)
    client_id = _client_of(request)
    start = _position(last_event_id(request))
    wants = _choice(filters)
    if wants_stream(request, stream=filters.stream):
        slot, read = Slot(client_id), read_client(client_id)
        stream = EventStream(slot, client_id=client_id, start=start, read=read, wants=wants)
        return open_stream(request, stream, of="client")
    rows = of_client(client_id, start, limit=filters.limit)
    items = [event for row, event in rows if wants(client_item(row, event))]
    # Also where nothing came: this is where to go on.
    return _json({"items": items, "next_cursor": str(Position(rows[-1][0].txid, rows[-1][0].pk) if rows else start)})


def _job_stream(request: HttpRequest, client_id: int, job: Job, after: int) -> HttpResponse:
    read = read_job(job.pk)
    if job.has_ended and after and not read(after):
        return nothing_more()
    stream = EventStream(Slot(client_id), client_id=client_id, job_id=job.pk, start=after, read=read)
    return open_stream(request, stream, of="job")


def _choice(filters: ClientEventFilters) -> Callable[[Item], bool]:
    jobs = {one.strip() for one in filters.job.split(",") if one.strip()}
    types = {one.strip() for one in filters.type.split(",") if one.strip()}
    families = tuple(one.removesuffix("*") for one in types if one.endswith("*"))

    def wants(item: Item) -> bool:
        if jobs and item.job not in jobs:
            return False
        return not types or item.type in types or (bool(families) and item.type.startswith(families))

    return wants


def _position(text: str) -> Position:
    try:
        return following.resume(parse_position(text)) if text else following.now()
    except NotAPositionError:
        raise ApiError(
            "invalid_request",
            f"{text[:40]!r} is no `id` that this stream gave out.",
            "Send the `id` of the last event that you know, or nothing to begin now.",
        ) from None


def _client_of(request: HttpRequest) -> int:
    identity: Identity = request.auth  # type: ignore[attr-defined]
    return identity.require_client().client_id


def _json(body: Any) -> HttpResponse:
    return HttpResponse(orjson.dumps(body), content_type="application/json")
