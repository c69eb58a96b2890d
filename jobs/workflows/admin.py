"""Workflows in the admin: the list, a workflow's page with its steps and their jobs, and its cancel."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.views.decorators.http import require_POST

from genfeed.clients.errors import ApiError
from genfeed.journal.audit import Actor, Change, record
from genfeed.journal.models import AuditEvent
from genfeed.journal.pages import ReadOnlyAdmin, badge, posted_text
from jobs.admin.filters import MOST_COUNTED, BoundedPaginator, ClientFilter
from jobs.workflows.advancing import advance
from jobs.workflows.canceling import cancel_workflow
from jobs.workflows.models import STATUSES, WorkflowRun
from jobs.workflows.rendering import render_steps, render_workflow, render_workflows

LOOKS = {"succeeded": "good", "failed": "bad", "canceled": "warn", "canceling": "warn", "skipped": "warn"}


class StatusFilter(admin.SimpleListFilter):
    title = "status"
    parameter_name = "status"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(status, status) for status in STATUSES]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        status = self.value()
        return queryset.filter(STATUSES[status]) if status in STATUSES else queryset


@admin.register(WorkflowRun)
class WorkflowRunAdmin(ReadOnlyAdmin):
    list_display = ["standing", "linked", "client", "shown_counts", "shown_charge", "created_at"]
    list_display_links = None
    list_filter = [StatusFilter, ClientFilter]
    list_select_related = ["client"]
    list_per_page = 50
    paginator = BoundedPaginator
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    sortable_by = ()
    ordering = ["-id"]
    search_fields = ["=id"]
    search_help_text = "A workflow's id."
    change_list_template = "admin/jobs/workflowrun/list.html"

    @admin.display(description="status")
    def standing(self, run: WorkflowRun) -> SafeString:
        shown = badge(run.status, LOOKS.get(run.status, ""))
        return format_html("{} {}", shown, badge("test", "warn")) if run.client.is_test else shown

    @admin.display(description="workflow")
    def linked(self, run: WorkflowRun) -> SafeString:
        url = reverse("admin:jobs_workflowrun_change", args=[run.pk])
        return format_html('<a href="{}"><span class="gf-id">{}</span></a>', url, run.pk)

    @admin.display(description="runs of steps")
    def shown_counts(self, run: WorkflowRun) -> str:
        counts = _told(run)["counts"]
        return ", ".join(f"{number} {status}" for status, number in counts.items() if number)

    @admin.display(description="charge, USD")
    def shown_charge(self, run: WorkflowRun) -> str:
        return str(_told(run)["charge"])

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """Counts and charges of the whole page by two queries."""
        answer = super().changelist_view(request, {"most": MOST_COUNTED, **(extra_context or {})})
        shown = getattr(answer, "context_data", None) or {}
        if "cl" in shown:
            runs: list[Any] = list(shown["cl"].result_list)
            for run, told in zip(runs, render_workflows(runs, shows_cost=True), strict=True):
                run.told = told
            shown["cl"].result_list = runs
        return answer

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        own = [path("<str:pk>/cancel/", view(require_POST(self.cancel)), name="jobs_workflowrun_cancel")]
        return own + super().get_urls()

    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        """What is known of a workflow. What clients wrote is shown to those who may see inputs."""
        run = self._run(request, object_id or "")
        steps = render_steps(run, shows_cost=True)
        for step in steps:
            step["look"] = LOOKS.get(step["status"], "")
            for one in step["runs"]:
                one["look"] = LOOKS.get(one["status"], "")
        context = {
            "title": f"Workflow {run.pk}",
            "run": run,
            "look": LOOKS.get(run.status, ""),
            "told": render_workflow(run, shows_cost=True),
            "steps": steps,
            "shows_input": request.user.has_perm("jobs.view_job_input"),
            "may_cancel": run.finished_at is None and run.cancel_requested_at is None,
            "audit": AuditEvent.objects.filter(object_type=run._meta.label_lower, object_id=run.pk).order_by("pk"),
            "opts": self.opts,
            **self.admin_site.each_context(request),
        }
        return TemplateResponse(request, "admin/jobs/workflowrun/page.html", context | (extra_context or {}))

    def cancel(self, request: HttpRequest, pk: str) -> HttpResponse:
        """Cancels a workflow, or begins to."""
        run = self._run(request, pk, needs="jobs.cancel_job")
        actor, reason = Actor.of(request.user), posted_text(request)

        def audit() -> None:
            record("workflow.canceled", [Change(run)], actor=actor, reason=reason)

        try:
            canceled = cancel_workflow(run, reason="staff", beside=audit)
        except ApiError as error:
            self.message_user(request, f"{error.message} {error.hint}", messages.ERROR)
        else:
            advance(canceled.pk)
            canceled.refresh_from_db()
            words = "Canceled." if canceled.finished_at else "Nothing of it is started any more; its jobs are canceled."
            self.message_user(request, words, messages.SUCCESS)
        return HttpResponseRedirect(reverse("admin:jobs_workflowrun_change", args=[pk]))

    def _run(self, request: HttpRequest, pk: str, *, needs: str = "") -> WorkflowRun:
        if not self.has_view_permission(request) or (needs and not request.user.has_perm(needs)):
            raise PermissionDenied
        found = WorkflowRun.objects.select_related("client", "key", "template").filter(pk=pk.replace("\x00", "")[:40])
        run = found.first()
        if run is None:
            raise Http404
        return run


def _told(run: Any) -> dict[str, Any]:
    return getattr(run, "told", None) or render_workflow(run, shows_cost=True)
