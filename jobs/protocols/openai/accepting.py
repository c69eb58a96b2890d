"""Accepting a request of this protocol: fitted to its model, and then a job like any other."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import orjson
from django.conf import settings
from django.http import HttpRequest, HttpResponse

from catalog import narrowing, published
from catalog.published import Entry
from genfeed.clients.errors import ApiError
from genfeed.clients.keys import Caller
from jobs.accepting.accept import Wanted, accept
from jobs.accepting.asking import read_metadata
from jobs.accepting.idempotency import key_of, once
from jobs.accepting.own_keys import HEADER
from jobs.assets.uploading import take_back
from jobs.models import Job
from jobs.protocols.openai.errors import refused, replayed_error
from jobs.protocols.openai.mapping import Fitted, fit
from jobs.protocols.openai.reading import Asked, digest_of
from pricing.estimates.addressing import find_model
from pricing.estimates.facts import facts_of

# Never the model's.
_OURS = ("model", "user", "safety_identifier")

Bring = Callable[[Fitted], None]


def accept_once(
    request: HttpRequest, caller: Caller, asked: Asked, *, makes: str, reads: tuple[str, ...], bring: Bring
) -> tuple[Job, bool]:
    """The job of a request, and whether its Idempotency-Key has made it before. Raises ApiError.

    `makes`: the kind of media that the model must make; `reads`: parameters that are read elsewhere, all others are the
    model's; `bring` puts files into the input.
    """
    digest = digest_of(request, asked)

    def work(keep: Callable[[int, bytes], None]) -> HttpResponse:
        entry, metadata = _entry(asked, caller, makes), _metadata(asked)
        params = {name: value for name, value in asked.values.items() if name not in (*_OURS, *reads)}
        fitted = fit(facts_of(entry.pk).inputs, params)
        answer: list[bytes] = []

        def beside(job: Job) -> None:
            answer.append(orjson.dumps({"job": job.pk}))
            keep(200, answer[0])

        wanted = Wanted(
            model=f"{entry.provider}:{entry.id}",
            input=fitted.input,
            metadata=metadata,
            idempotency_key=key_of(request),
            body_digest=digest,
            provider_key=request.headers.get(HEADER, "").strip(),
        )
        try:
            bring(fitted)
            accept(wanted, caller, beside=beside)
        except Exception as error:
            # They came for this request alone, and a repetition brings them again.
            take_back(fitted.stored)
            if isinstance(error, ApiError):
                raise _named(error, fitted.names) from None
            raise
        return HttpResponse(answer[0], content_type="application/json")

    taken = once(request, caller.client_id, work, digest=digest)
    if taken.status_code >= 400:
        raise replayed_error(taken)
    job = Job.objects.get(pk=orjson.loads(taken.content)["job"], client_id=caller.client_id)
    return job, "Idempotent-Replayed" in taken.headers


def find_job(job_id: str, caller: Caller, *, makes: str) -> Job:
    """The caller's own job of a model that makes such media, by whichever protocol it came. Raises ApiError."""
    mine = Job.objects.filter(pk=job_id[:40].replace("\x00", ""), client_id=caller.client_id)
    job = mine.filter(model__media_type=makes).first()
    if job is None:
        raise ApiError("not_found", f"There is no {makes} {job_id[:60]!r}.", "List yours, or make one.")
    return job


def base_url_of(request: HttpRequest) -> str:
    """Where all our addresses begin, without a slash at the end."""
    return (settings.PUBLIC_URL or request.build_absolute_uri("/")).rstrip("/")


def _entry(asked: Asked, caller: Caller, makes: str) -> Entry:
    address = asked.text("model")
    if not address:
        raise refused("model", "the request names none.", "Name one of /v1/models.")
    catalog = narrowing.narrowed(published.current(), caller)
    entry = find_model(address, is_admin=False, within=catalog, client_id=caller.live_id, counts=not caller.is_test)
    if entry.media_type != makes:
        hint = f"Choose one that does: /api/v1/models?media_type={makes}."
        raise refused("model", f"{entry.id} makes no {makes}.", hint)
    return entry


def _metadata(asked: Asked) -> Mapping[str, str]:
    """Whom the client's request is for, beside the job; the newer name goes before the older."""
    name = next((name for name in ("safety_identifier", "user") if asked.text(name)), "")
    try:
        return read_metadata({"user": asked.text(name)}) if name else {}
    except ApiError as error:
        raise refused(name, error.message, error.hint) from None


def _named(error: ApiError, names: Mapping[str, str]) -> ApiError:
    """The error with the parameter that its first problem came from."""
    details = error.details if isinstance(error.details, dict) else {}
    for problem in details.get("problems", ()):
        field = problem["path"].removeprefix("input").lstrip(".").partition(".")[0].partition("[")[0]
        if field:
            details = details | {"param": names.get(field, field)}
            break
    return ApiError(
        error.code, error.message, error.hint, status=error.status, details=details, retry_after=error.retry_after
    )
