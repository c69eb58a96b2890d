"""Providers calling back: checked, noted and answered at once; the dispatcher does the rest.

A webhook brings nothing but the news that there is something to see. What is seen is fetched with our own key.
"""

from __future__ import annotations

import logging
from contextlib import nullcontext

from django.db import connection, transaction
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from django.utils.crypto import constant_time_compare
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from catalog.providers import queue
from catalog.providers.webhooks import NotGenuineError, UndecidedError
from jobs.dispatching.submitting import adopt
from jobs.ending.orphans import note_orphan
from jobs.models import IN_FLIGHT, Job, Status
from pricing import sql

logger = logging.getLogger(__name__)

_SOON = {"Retry-After": "5"}
_FIND = "SELECT token, request_id, status, next_at > %s FROM jobs_job WHERE id = %s AND provider = %s"
# A new version: a look under way that has not seen the end yet must not put the next one off.
_LOOK_NOW = """
UPDATE jobs_job SET next_at = %s, version = version + 1
WHERE id = %s AND status IN ('submitting', 'submitted', 'running', 'canceling')
"""


@csrf_exempt
@require_POST
def receive(request: HttpRequest, provider: str, job_id: str, token: str) -> HttpResponse:
    """POST /webhooks/<provider>/<job>/<token>: 200 for what is genuine, however often it comes; 401 for what is not.

    503 while what tells it is not known: the provider sends it again. The job is looked at all the same, for the
    provider alone was given its token, and a look harms nobody.
    """
    verify = queue.verifier(provider)
    if verify is None:
        return JsonResponse({"detail": "There is no such provider here."}, status=404)
    told = None
    try:
        told = verify(request.headers, request.body)
    except UndecidedError:
        pass
    except NotGenuineError as error:
        logger.warning("a webhook was refused: %s", error)
        answer = JsonResponse({"detail": f"Refused: {error}."}, status=401)
        # Told above; Django's own line would show the address, and with it the job's token.
        answer._has_been_logged = True  # type: ignore[attr-defined]
        return answer
    job_id = job_id[:40].replace("\x00", "")
    found = sql.rows(_FIND, timezone.now(), job_id, provider)
    if not found or not constant_time_compare(found[0][0], token):
        # As if there were no such job: a stranger learns nothing, and the provider has no reason to try again.
        logger.warning("a webhook names an unknown job or a wrong token: %s", job_id)
        return JsonResponse({"detail": "unknown"}, status=200)
    _, request_id, status, is_ahead = found[0]
    if told is not None and told.request_id != request_id:
        for job in Job.objects.filter(pk=job_id):
            note(job, told.request_id)
    else:
        _look_now(job_id, status, is_ahead=is_ahead)
    if told is None:
        return JsonResponse({"detail": "Whose it is can't be said yet; send it again."}, status=503, headers=_SOON)
    return JsonResponse({"detail": "noted"})


def note(job: Job, request_id: str) -> bool:
    """Has the job looked at now; False where the request is not its own."""
    if job.status == Status.SUBMITTING and not job.request_id:
        # The answer to the submit was lost or is late: this is the request.
        adopt(job, job.request_of(request_id), looked_at_now=True)
    if job.request_id != request_id:
        if job.has_ended and not job.request_id:
            note_orphan(job, job.request_of(request_id))
        else:
            logger.warning("a webhook for job %s names another request", job.pk)
        return False
    _look_now(job.pk, job.status, is_ahead=job.next_at > timezone.now())
    return True


def _look_now(job_id: str, status: str, *, is_ahead: bool) -> None:
    """Has the dispatcher look at a job at its provider next; nothing is written where it is about to anyway."""
    # A look under way has put the moment off: where it has come, the look is still to begin, and sees what is now.
    if status in IN_FLIGHT and is_ahead:
        # On SQLite a transaction waits for others in shorter steps than a statement by itself.
        with transaction.atomic() if connection.vendor == "sqlite" else nullcontext():
            sql.changed(_LOOK_NOW, timezone.now(), job_id)
