"""Batches in the admin: the list, a batch's page, and its cancel."""

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
from jobs.batches.canceling import cancel_batch
from jobs.batches.models import STATUSES, Batch
from jobs.batches.rendering import render_batch, render_batches

LOOKS = {"completed": "good", "canceled": "warn", "canceling": "warn"}


class StatusFilter(admin.SimpleListFilter):
    title = "status"
    parameter_name = "status"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(status, status) for status in STATUSES]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        status = self.value()
        return queryset.filter(STATUSES[status]) if status in STATUSES else queryset


@admin.register(Batch)
class BatchAdmin(ReadOnlyAdmin):
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
    search_help_text = "A batch's id."
    change_list_template = "admin/jobs/batch/list.html"

    @admin.display(description="status")
    def standing(self, batch: Batch) -> SafeString:
        shown = badge(batch.status, LOOKS.get(batch.status, ""))
        return format_html("{} {}", shown, badge("test", "warn")) if batch.client.is_test else shown

    @admin.display(description="batch")
    def linked(self, batch: Batch) -> SafeString:
        url = reverse("admin:jobs_batch_change", args=[batch.pk])
        return format_html('<a href="{}"><span class="gf-id">{}</span></a>', url, batch.pk)

    @admin.display(description="items")
    def shown_counts(self, batch: Batch) -> str:
        return f"{batch.size}: {_words(self._told(batch)['counts'])}"

    @admin.display(description="charge, USD")
    def shown_charge(self, batch: Batch) -> str:
        return str(self._told(batch)["charge"])

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """Counts and charges of the whole page by two queries."""
        answer = super().changelist_view(request, {"most": MOST_COUNTED, **(extra_context or {})})
        shown = getattr(answer, "context_data", None) or {}
        if "cl" in shown:
            batches = list(shown["cl"].result_list)
            for batch, told in zip(batches, render_batches(batches), strict=True):
                batch.told = told
            shown["cl"].result_list = batches
        return answer

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        own = [path("<str:pk>/cancel/", view(require_POST(self.cancel)), name="jobs_batch_cancel")]
        return own + super().get_urls()

    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        """What is known of a batch. What clients wrote is shown to those who may see inputs."""
        batch = self._batch(request, object_id or "")
        told = render_batch(batch)
        context = {
            "title": f"Batch {batch.pk}",
            "batch": batch,
            "look": LOOKS.get(batch.status, ""),
            "told": told,
            "counts": [(status, number) for status, number in told["counts"].items() if number],
            "refusals": batch.refusals.all(),
            "shows_input": request.user.has_perm("jobs.view_job_input"),
            "may_cancel": batch.finished_at is None and batch.cancel_requested_at is None,
            "audit": AuditEvent.objects.filter(object_type=batch._meta.label_lower, object_id=batch.pk).order_by("pk"),
            "opts": self.opts,
            **self.admin_site.each_context(request),
        }
        return TemplateResponse(request, "admin/jobs/batch/page.html", context | (extra_context or {}))

    def cancel(self, request: HttpRequest, pk: str) -> HttpResponse:
        """Cancels a batch, or begins to."""
        batch = self._batch(request, pk, needs="jobs.cancel_job")
        actor, reason = Actor.of(request.user), posted_text(request)

        def audit() -> None:
            record("batch.canceled", [Change(batch, after={"size": batch.size})], actor=actor, reason=reason)

        try:
            canceled = cancel_batch(batch, reason="staff", beside=audit)
        except ApiError as error:
            self.message_user(request, f"{error.message} {error.hint}", messages.ERROR)
        else:
            words = "Canceled." if canceled.finished_at else "Nothing of it is sent any more; its jobs are canceled."
            self.message_user(request, words, messages.SUCCESS)
        return HttpResponseRedirect(reverse("admin:jobs_batch_change", args=[pk]))

    def _batch(self, request: HttpRequest, pk: str, *, needs: str = "") -> Batch:
        if not self.has_view_permission(request) or (needs and not request.user.has_perm(needs)):
            raise PermissionDenied
        batch = Batch.objects.select_related("client", "key").filter(pk=pk.replace("\x00", "")[:40]).first()
        if batch is None:
            raise Http404
        return batch

    @staticmethod
    def _told(batch: Any) -> dict[str, Any]:
        return getattr(batch, "told", None) or render_batch(batch)


def _words(counts: dict[str, int]) -> str:
    return ", ".join(f"{number} {status}" for status, number in counts.items() if number)
