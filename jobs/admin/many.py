"""What pages of batches and of workflows have in common: how they are listed and narrowed, and their cancel."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
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
from jobs.admin.filters import MOST_COUNTED, BoundedPaginator, ClientFilter, ModeFilter


class OwnStatusFilter(admin.SimpleListFilter):
    title = "status"
    parameter_name = "status"

    def __init__(self, request: HttpRequest, params: Any, model: Any, model_admin: Any) -> None:
        self._statuses: Mapping[str, Q] = model_admin.statuses
        super().__init__(request, params, model, model_admin)

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(status, status) for status in self._statuses]

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        status = self.value() or ""
        return queryset.filter(self._statuses[status]) if status in self._statuses else queryset


class ModeOfClientFilter(ModeFilter):
    """The mode of what is a client's: its test side is a client of its own."""

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        is_known = self.value() in ("live", "test")
        return queryset.filter(client__test_of__isnull=self.value() == "live") if is_known else queryset


class ManyJobsAdmin(ReadOnlyAdmin):
    """Pages of rows that are many jobs: each has a client, a status, and may be canceled until it has ended.

    `statuses`: each as a condition; `looks` of their badges; `word`: what one is called, in the audit too;
    `ending`: what is said while a cancel has not come to its end; `related`: what its page shows of other rows.
    """

    statuses: Mapping[str, Q]
    looks: Mapping[str, str]
    word: str
    ending: str
    related: Sequence[str] = ("client", "key")

    list_display = ["standing", "linked", "client", "shown_counts", "shown_charge", "created_at"]
    list_display_links = None
    list_filter = [OwnStatusFilter, ModeOfClientFilter, ClientFilter]
    list_select_related = ["client"]
    list_per_page = 50
    paginator = BoundedPaginator
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    sortable_by = ()
    ordering = ["-id"]
    search_fields = ["=id"]

    @abstractmethod
    def told_of(self, rows: list[Any]) -> list[dict[str, Any]]:
        """Each row as the API shows it, in few queries for all."""

    @abstractmethod
    def page_of(self, request: HttpRequest, row: Any) -> dict[str, Any]:
        """What the row's page shows besides."""

    @abstractmethod
    def begin_cancel(self, row: Any, *, beside: Callable[[], None]) -> Any:
        """Cancels the row, or begins to; `beside` writes the audit. Raises ApiError."""

    @admin.display(description="status")
    def standing(self, row: Any) -> SafeString:
        shown = badge(row.status, self.looks.get(row.status, ""))
        return format_html("{} {}", shown, badge("test", "warn")) if row.client.is_test else shown

    @admin.display(description="id")
    def linked(self, row: Any) -> SafeString:
        return format_html('<a href="{}"><span class="gf-id">{}</span></a>', self._address(row.pk), row.pk)

    @admin.display(description="by status")
    def shown_counts(self, row: Any) -> str:
        return ", ".join(f"{number} {status}" for status, number in self._told(row)["counts"].items() if number)

    @admin.display(description="charge, USD")
    def shown_charge(self, row: Any) -> str:
        return str(self._told(row)["charge"])

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """Counts and charges of the whole page by two queries."""
        answer = super().changelist_view(request, {"most": MOST_COUNTED, **(extra_context or {})})
        shown = getattr(answer, "context_data", None) or {}
        if "cl" in shown:
            rows: list[Any] = list(shown["cl"].result_list)
            for row, told in zip(rows, self.told_of(rows), strict=True):
                row.told = told
            shown["cl"].result_list = rows
        return answer

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        own = [path("<str:pk>/cancel/", view(require_POST(self.cancel)), name=f"{self._name()}_cancel")]
        return own + super().get_urls()

    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        """What is known of a row. What clients wrote is shown to those who may see inputs."""
        row = self._row(request, object_id or "")
        context = {
            "title": f"{self.word.capitalize()} {row.pk}",
            "look": self.looks.get(row.status, ""),
            "told": self._told(row),
            "shows_input": request.user.has_perm("jobs.view_job_input"),
            "may_cancel": row.finished_at is None and row.cancel_requested_at is None,
            "audit": AuditEvent.objects.filter(object_type=row._meta.label_lower, object_id=row.pk).order_by("pk"),
            "opts": self.opts,
            **self.page_of(request, row),
            **self.admin_site.each_context(request),
        }
        name = f"admin/{self.opts.app_label}/{self.opts.model_name}/page.html"
        return TemplateResponse(request, name, context | (extra_context or {}))

    def cancel(self, request: HttpRequest, pk: str) -> HttpResponse:
        """Cancels a row, or begins to."""
        row = self._row(request, pk, needs="jobs.cancel_job")
        actor, reason = Actor.of(request.user), posted_text(request)

        def audit() -> None:
            record(f"{self.word}.canceled", [Change(row)], actor=actor, reason=reason)

        try:
            canceled = self.begin_cancel(row, beside=audit)
        except ApiError as error:
            self.message_user(request, f"{error.message} {error.hint}", messages.ERROR)
        else:
            self.message_user(request, "Canceled." if canceled.finished_at else self.ending, messages.SUCCESS)
        return HttpResponseRedirect(self._address(pk))

    def _row(self, request: HttpRequest, pk: str, *, needs: str = "") -> Any:
        if not self.has_view_permission(request) or (needs and not request.user.has_perm(needs)):
            raise PermissionDenied
        rows = self.model._default_manager.select_related(*self.related)
        row = rows.filter(pk=pk.replace("\x00", "")[:40]).first()
        if row is None:
            raise Http404
        return row

    def _told(self, row: Any) -> dict[str, Any]:
        return getattr(row, "told", None) or self.told_of([row])[0]

    def _name(self) -> str:
        return f"{self.opts.app_label}_{self.opts.model_name}"

    def _address(self, pk: str) -> str:
        return reverse(f"admin:{self._name()}_change", args=[pk])
