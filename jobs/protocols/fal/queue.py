"""The queue and direct runs: everything is accepted, billed and limited by the code that the native API calls."""

from __future__ import annotations

from typing import Any

import orjson
from django.conf import settings
from django.http import HttpRequest, HttpResponse

from catalog import narrowing, published
from genfeed.clients.errors import ApiError
from genfeed.clients.keys import Caller
from genfeed.front.connections import HANDED_OVER
from jobs.accepting.accept import accept
from jobs.accepting.idempotency import once
from jobs.canceling import cancel
from jobs.events.metrics import observe_opened
from jobs.events.rendering import CONTENT_TYPE
from jobs.events.slots import Slot
from jobs.models import Job
from jobs.protocols.ceilings import take
from jobs.protocols.fal.asking import MADE_BY, digest_of, read_submit, start_seconds
from jobs.protocols.fal.errors import replayed_error
from jobs.protocols.fal.names import is_of, read_path
from jobs.protocols.fal.results import ending_of
from jobs.protocols.fal.states import accepted, is_over, state_of
from jobs.protocols.fal.waiting import OutputStream, ResultAnswer, StatusStream
from jobs.protocols.waiting import require_event_loop

DROPPED = "X-GenFeed-Dropped-Fields"
_LONGEST_HEADER = 2_000
_STEMS = {"GET": ("", "status", "status/stream"), "PUT": ("cancel",)}


def base_url_of(request: HttpRequest) -> str:
    """Where all our addresses begin, without a slash at the end."""
    return (settings.PUBLIC_URL or request.build_absolute_uri("/")).rstrip("/")


def queue_url_of(request: HttpRequest) -> str:
    """Where our queue is."""
    return f"{base_url_of(request)}/fal/queue"


def is_model(endpoint_id: str, caller: Caller) -> bool:
    """Whether the caller has a model of this very id."""
    catalog = narrowing.narrowed(published.current(), caller)
    return endpoint_id.rpartition(":")[2] in catalog.by_id


def submit(request: HttpRequest, endpoint_id: str, caller: Caller) -> HttpResponse:
    """Accepts a request. Raises ApiError, and then nothing was accepted."""
    dropped: list[str] = []
    digest = digest_of(request, caller)

    def work(keep: Any) -> HttpResponse:
        wanted, unknown = read_submit(request, endpoint_id, caller, digest=digest)
        dropped.extend(unknown)
        rendered: list[bytes] = []

        def beside(job: Job) -> None:
            if caller.token:
                take(job, caller.token)
            rendered.append(orjson.dumps(accepted(job, queue_url_of(request))))
            keep(200, rendered[0])

        accept(wanted, caller, beside=beside)
        return HttpResponse(rendered[0], content_type="application/json")

    answer = once(request, caller.client_id, work, digest=digest)
    if answer.status_code >= 400:
        raise replayed_error(answer)
    answer.headers["x-fal-request-id"] = orjson.loads(answer.content)["request_id"]
    if dropped:
        answer.headers[DROPPED] = _names(dropped)
    return answer


def look(request: HttpRequest, path: str, caller: Caller) -> HttpResponse:
    """Status, status stream, result or cancel of a request."""
    address = read_path(path)
    if address.action not in _STEMS.get(request.method or "", ()):
        raise ApiError("invalid_request", "This method is not allowed here.", "GET reads, PUT …/cancel.", status=405)
    job = _find(address.request_id, caller)
    if job is None or not is_of(address.endpoint_id, job.endpoint_id):
        return _json({"status": "NOT_FOUND", "detail": "There is no such request."}, 404)
    if address.action == "cancel":
        return _cancel(job)
    with_logs = request.GET.get("logs", "").lower() in ("1", "true")
    if address.action == "status":
        state = state_of(job, queue_url_of(request), with_logs=with_logs)
        return _json(state, 200 if is_over(state) else 202)
    if address.action == "status/stream":
        more = {"base_url": base_url_of(request), "queue_url": queue_url_of(request)}
        return _hand_over(request, StatusStream(Slot(caller.client_id), job, with_logs=with_logs, **more))
    if not job.has_ended:
        answer = _json({"detail": "Request is still in progress"}, 400)
        answer.headers["x-fal-request-id"] = job.pk
        return answer
    ending = ending_of(job, base_url=base_url_of(request))
    answer = _json(ending.body, ending.status)
    for name, value in ending.headers.items():
        answer.headers[name] = value
    return answer


def run(request: HttpRequest, endpoint_id: str, caller: Caller, *, is_stream: bool) -> HttpResponse:
    """Accepts a request and answers with its result, or with a stream that ends with it."""
    require_event_loop(request, "Submit it to the queue (/fal/queue) and ask for the result.")
    seconds = start_seconds(request)
    slot = Slot(caller.client_id)
    try:
        taken = submit(request, endpoint_id, caller)
        job = Job.objects.get(pk=taken.headers["x-fal-request-id"])
        more = {"base_url": base_url_of(request), "queue_url": queue_url_of(request)}
        if is_stream:
            answer = _hand_over(request, OutputStream(slot, job, **more))
        else:
            # With a key the same request may come again and wants this very result.
            cancels = "Idempotency-Key" not in request.headers
            answer = _hand_over(
                request, ResultAnswer(slot, job, start_seconds=seconds, cancels=cancels, **more), is_late=True
            )
    except BaseException:
        slot.give_back()
        raise
    for name in ("x-fal-request-id", DROPPED):
        if name in taken.headers:
            answer.headers[name] = taken.headers[name]
    return answer


def _hand_over(request: HttpRequest, stream: Any, *, is_late: bool = False) -> HttpResponse:
    environ = getattr(request, "environ", {})
    body = b""
    if HANDED_OVER in environ:
        environ[HANDED_OVER] = stream
    else:
        stream.close()
        body = stream.so_far()
    if is_late:
        return HttpResponse(b"", content_type="application/json")
    observe_opened("job")
    answer = HttpResponse(body, content_type=CONTENT_TYPE)
    answer.headers["Cache-Control"] = "no-store"
    answer.headers["X-Accel-Buffering"] = "no"
    return answer


def _find(request_id: str, caller: Caller) -> Job | None:
    """The caller's own request; a page sees only those that its own token made."""
    job = Job.objects.filter(pk=request_id[:40].replace("\x00", ""), client_id=caller.client_id).first()
    if job is not None and caller.token and job.metadata.get(MADE_BY) != caller.token.id:
        return None
    return job


def _cancel(job: Job) -> HttpResponse:
    if job.has_ended:
        return _json({"status": "ALREADY_COMPLETED"}, 400)
    try:
        cancel(job)
    except ApiError as error:
        if error.code != "conflict":
            raise
        return _json({"status": "ALREADY_COMPLETED"}, 400)
    return _json({"status": "CANCELLATION_REQUESTED"}, 202)


def _names(dropped: list[str]) -> str:
    """Paths as a header can carry them: no others than visible characters of ASCII."""
    text = ", ".join(dropped).encode("ascii", "replace").decode()
    return "".join(char if char.isprintable() else "?" for char in text)[:_LONGEST_HEADER]


def _json(body: Any, status: int = 200) -> HttpResponse:
    answer = HttpResponse(orjson.dumps(body), content_type="application/json", status=status)
    answer.headers["Cache-Control"] = "no-store"
    return answer
