"""Starting a calibration's runs; its page is pricing's, which knows no jobs."""

from __future__ import annotations

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.views.decorators.http import require_POST

from genfeed.clients.errors import ApiError
from genfeed.journal.audit import Actor
from jobs.calibrating import start
from pricing.calibration.runs import CalibrationError
from pricing.models import Calibration


@require_POST
def run_calibration(request: HttpRequest, pk: int) -> HttpResponse:
    """Runs what is left to run, at the operator's cost."""
    if not request.user.has_perm("pricing.change_calibration"):
        raise PermissionDenied
    row = get_object_or_404(Calibration, pk=pk)
    try:
        jobs = start(row, actor=Actor.of(request.user))
    except CalibrationError as error:
        messages.error(request, str(error))
    except ApiError as error:
        messages.error(request, f"{error.message} {error.hint}")
    else:
        messages.success(request, f"{len(jobs)} run{'s' * (len(jobs) != 1)} started, at our own cost.")
    return HttpResponseRedirect(reverse("admin:pricing_calibration_change", args=[pk]))
