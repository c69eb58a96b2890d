"""The live queue: what waits and runs now, for whom, and the gates to the providers."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST

from genfeed.journal.audit import Actor
from genfeed.journal.pages import posted_text
from jobs.dispatching import standing
from jobs.dispatching.gate import reopen
from jobs.models import IN_FLIGHT, Job, Status
from jobs.testmode.mode import TEST

_WAITING = 20


def queue_page(request: HttpRequest) -> HttpResponse:
    """The page; its part that changes is fetched anew every two seconds."""
    _check(request, "jobs.view_job")
    context = {"title": "Live queue", **_figures(request), **admin.site.each_context(request)}
    return TemplateResponse(request, "admin/jobs/queue/page.html", context)


def live_part(request: HttpRequest) -> HttpResponse:
    """Only the part that changes."""
    _check(request, "jobs.view_job")
    return TemplateResponse(request, "admin/jobs/queue/live.html", _figures(request))


@require_POST
def reopen_gate(request: HttpRequest) -> HttpResponse:
    """ "Try now": a person says that the cause is gone."""
    _check(request, "jobs.change_providergate")
    name = posted_text(request, "provider")[:120]
    if reopen(name, actor=Actor.of(request.user)):
        messages.success(request, f"The next jobs go to {name} now.")
    else:
        messages.error(request, f"There is no gate to {name!r}.")
    return HttpResponseRedirect(reverse("admin:jobs_queue"))


def _figures(request: HttpRequest) -> dict[str, Any]:
    counts = standing.open_counts()
    waiting = (
        Job.objects.exclude(account=TEST).filter(status=Status.QUEUED).order_by("created_at").select_related("client")
    )
    return {
        "now": timezone.now(),
        "queued": counts[Status.QUEUED],
        "in_flight": sum(counts[status] for status in IN_FLIGHT),
        "counts": counts,
        "places": standing.places(),
        "oldest": standing.oldest_queued(),
        "clients": standing.by_client(),
        "waiting": waiting.only("id", "endpoint_id", "created_at", "attempts", "next_at", "client__name")[:_WAITING],
        "gates": standing.gates(),
        "may_reopen": request.user.has_perm("jobs.change_providergate"),
    }


def _check(request: HttpRequest, permission: str) -> None:
    if not request.user.has_perm(permission):
        raise PermissionDenied
