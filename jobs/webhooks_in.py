"""Providers calling back: checked, noted and answered at once; the dispatcher does the rest.

A webhook brings nothing but the news that there is something to see. What is seen is fetched with our own key.
"""

from __future__ import annotations

import hmac
import logging

from django.db import transaction
from django.db.models import F
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from catalog.providers.fal_webhooks import NotFromFalError, verify
from catalog.providers.queue import Request
from jobs.models import IN_FLIGHT, Job, Status
from jobs.orphans import note_orphan
from jobs.submitting import adopt

logger = logging.getLogger(__name__)


@csrf_exempt
@require_POST
def fal(request: HttpRequest, job_id: str, token: str) -> HttpResponse:
    """POST /webhooks/fal/<job>/<token>: 200 for whatever is genuine, however often it comes; 401 for what is not."""
    try:
        told = verify(request.headers, request.body)
    except NotFromFalError as error:
        logger.warning("a webhook was refused: %s", error)
        answer = JsonResponse({"detail": f"Refused: {error}."}, status=401)
        # Told above; Django's own line would show the address, and with it the job's token.
        answer._has_been_logged = True  # type: ignore[attr-defined]
        return answer
    job = Job.objects.filter(pk=job_id[:40]).first()
    if job is None or not hmac.compare_digest(job.token, token):
        # As if there were no such job: a stranger learns nothing, and fal has no reason to try again.
        logger.warning("a webhook names an unknown job or a wrong token: %s", job_id[:40])
        return JsonResponse({"detail": "unknown"}, status=200)
    note(job, told.request_id)
    return JsonResponse({"detail": "noted"})


def note(job: Job, request_id: str) -> bool:
    """Has the job looked at now; False where the request is not its own."""
    if job.status == Status.SUBMITTING and not job.request_id:
        # The answer to the submit was lost or is late: this is the request.
        adopt(job, Request(job.endpoint_id, request_id))
    if job.request_id != request_id:
        if job.has_ended and not job.request_id:
            note_orphan(job, Request(job.endpoint_id, request_id))
        else:
            logger.warning("a webhook for job %s names another request", job.pk)
        return False
    with transaction.atomic():
        # A new version: a look under way that has not seen the end yet must not put the next one off.
        Job.objects.filter(pk=job.pk, status__in=IN_FLIGHT).update(next_at=timezone.now(), version=F("version") + 1)
    return True
