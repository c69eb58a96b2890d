"""A training job's result as an own model: the form of own models, filled in with what the job made."""

from __future__ import annotations

from datetime import timedelta

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404

from catalog.providers import queue
from jobs.models import Job
from jobs.trained import Trained, is_training, read
from pricing.admin.own_model_form import OwnModelForm, pretty
from pricing.admin.own_models import form_page, require


def own_model_of_job(request: HttpRequest, pk: str) -> HttpResponse:
    """The form; nothing is made before it is previewed and saved there."""
    require(request, "catalog.add_aimodel")
    # What it made is shown: only to those who may see what clients get.
    if not request.user.has_perm("jobs.view_job_input"):
        raise PermissionDenied
    job = get_object_or_404(Job.objects.select_related("client", "model__provider"), pk=pk.replace("\x00", "")[:40])
    if not is_training(job):
        raise Http404("Only a training that succeeded has made a model.")
    trained = read(job)
    base = trained.base
    form = OwnModelForm(
        initial={
            "provider": job.model.provider_id,
            "endpoint_id": f"own/{job.pk.lower().replace('job_', '')}",
            "name": f"{base.name if base else job.model.name} of {job.client.name}"[:255],
            "category": base.category if base else "",
            "description": f"Trained by {job.pk} with {job.endpoint_id}.",
            "client": job.client_id,
            "base": base.endpoint_id if base else "",
            "fixed_input": pretty(trained.fixed_input) if trained.fixed_input else "",
            "as_base": base is not None,
            "reason": f"result of {job.pk}",
        }
    )
    return form_page(request, form, notes=_notes(job, trained))


def _notes(job: Job, trained: Trained) -> tuple[str, ...]:
    notes = [f"Job {job.pk} of {job.client.name} made: {', '.join(trained.files) or 'no file'}."]
    if not trained.base:
        notes.append("The provider does not say which model runs what was trained. Name it under “Built on”.")
    elif not trained.fixed_input:
        notes.append(f"Which input of {trained.base} takes it is not clear: write it under “Fixed inputs”.")
    if len(trained.bases) > 1:
        notes.append(f"It can be run by {', '.join(trained.bases)}.")
    kept = queue.keeps_files(job.provider)
    if kept and trained.files and job.finished_at:
        seconds, setting = kept
        until = job.finished_at + timedelta(seconds=seconds)
        notes.append(
            f"The provider keeps the files of this job until {until:%Y-%m-%d %H:%M} UTC"
            f"{f' ({setting})' if setting else ''}. Put the weights where they stay, and name that address."
        )
    return tuple(notes)
