"""Jobs in the admin: the list, a job's page, and what staff do to a job."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.views.decorators.http import require_POST

from genfeed.clients.errors import ApiError
from genfeed.journal.audit import Actor, Change, record
from genfeed.journal.long_lists import LongList
from genfeed.journal.pages import ReadOnlyAdmin, badge, posted_text
from jobs.admin.filters import (
    MOST_COUNTED,
    BoundedPaginator,
    ClientFilter,
    DayFilter,
    JobsOfBatchFilter,
    JobsOfWorkflowFilter,
    ModeFilter,
    ModelFilter,
    QuarantineFilter,
    StatusFilter,
)
from jobs.admin.page import LOOKS, duration, page_of
from jobs.admin.refunding import RefundForm
from jobs.canceling import cancel
from jobs.ending.quarantine import DecisionError, decide
from jobs.models import Job, Status
from jobs.retrying import retry
from jobs.testmode.mode import is_test
from pricing.ledger.accounts import MoneyRefusedError
from pricing.ledger.afterwards import charged_for, refund
from pricing.money import format_usd

_HEAVY = (
    "input", "output", "features", "quote", "terms", "metadata", "urls", "log_mark", "error", "fallback",
)  # fmt: skip

# A request has one job; of several providers' equal ids, so many are shown.
_MOST_FOUND = 50


@admin.register(Job)
class JobAdmin(ReadOnlyAdmin):
    list_display = ["standing", "linked", "of_client", "created", "shown_charge", "shown_cost"]
    list_display_links = None
    list_filter = [
        StatusFilter,
        ModeFilter,
        QuarantineFilter,
        ClientFilter,
        ModelFilter,
        DayFilter,
        JobsOfBatchFilter,
        JobsOfWorkflowFilter,
    ]
    list_select_related = ["client"]
    list_per_page = 50
    paginator = BoundedPaginator
    show_full_result_count = False
    # Counts beside filters would count the whole table for each.
    show_facets = admin.ShowFacets.NEVER
    # By id, which is by time: any other order would sort the whole table.
    sortable_by = ()
    ordering = ["-id"]
    # Names no field to look in: `get_search_results` looks both ids up in their indexes.
    search_fields = ["id"]
    search_help_text = "A job's id, or the provider's id of its request."
    change_list_template = "admin/jobs/job/list.html"
    change_form_template = "admin/jobs/job/page.html"

    @admin.display(description="status")
    def standing(self, job: Job) -> SafeString:
        shown = badge(job.status, LOOKS.get(Status(job.status), ""))
        if is_test(job):
            shown = format_html("{} {}", shown, badge("test", "warn", "A test key's job: it cost and charged nothing."))
        return format_html("{} {}", shown, badge("bill waits", "bad", job.quarantine)) if job.quarantine else shown

    @admin.display(description="job")
    def linked(self, job: Job) -> SafeString:
        return format_html(
            '<a href="{}">{}</a><br><span class="gf-id">{}</span>',
            reverse("admin:jobs_job_change", args=[job.pk]), job.endpoint_id, job.pk,
        )  # fmt: skip

    @admin.display(description="client")
    def of_client(self, job: Job) -> str:
        return job.client.name

    @admin.display(description="created (UTC), duration")
    def created(self, job: Job) -> SafeString:
        return _two_lines(f"{job.created_at:%Y-%m-%d %H:%M:%S}", duration(job))

    @admin.display(description="charge, USD")
    def shown_charge(self, job: Job) -> str:
        return "" if job.charge is None else format_usd(job.charge)

    @admin.display(description="cost, USD, and from what")
    def shown_cost(self, job: Job) -> SafeString | str:
        return "" if job.cost is None else _two_lines(format_usd(job.cost), job.cost_source.replace("_", " "))

    def get_queryset(self, request: HttpRequest) -> QuerySet[Job]:
        return super().get_queryset(request).defer(*_HEAVY)

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[LongList]:
        return LongList

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Job], search_term: str
    ) -> tuple[QuerySet[Job], bool]:
        """Jobs by an exact id. The condition on the empty id is that of the index."""
        term = search_term.replace("\x00", "").strip()
        if not term:
            return queryset, False
        words = {term, term.lower()}
        by_request = Job.objects.filter(request_id__in=words).exclude(request_id="").order_by()
        return queryset.filter(pk__in={*words, *by_request.values_list("pk", flat=True)[:_MOST_FOUND]}), False

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        own = [
            path("<str:pk>/cancel/", view(require_POST(self.cancel)), name="jobs_job_cancel"),
            path("<str:pk>/retry/", view(require_POST(self.retry)), name="jobs_job_retry"),
            path("<str:pk>/refund/", view(self.refund), name="jobs_job_refund"),
            path("<str:pk>/decide/", view(require_POST(self.decide)), name="jobs_job_decide"),
        ]
        return own + super().get_urls()

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        return super().changelist_view(request, {"most": MOST_COUNTED, **(extra_context or {})})

    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        """All that is known of a job; inputs, outputs and raw answers only for those who may see them."""
        job = self._job(request, object_id or "")
        shows = page_of(job, shows_input=request.user.has_perm("jobs.view_job_input"))
        return self._page(request, self.change_form_template, f"Job {job.pk}", job, shows | (extra_context or {}))

    def cancel(self, request: HttpRequest, pk: str) -> HttpResponse:
        """Cancels a job, or begins to."""
        job = self._job(request, pk, needs="jobs.cancel_job")
        actor, reason = Actor.of(request.user), posted_text(request)

        def audit() -> None:
            record("job.canceled", [Change(job, after={"status": job.status})], actor=actor, reason=reason)

        try:
            canceled = cancel(job, reason="staff", beside=audit)
        except ApiError as error:
            self._refused(request, error)
        else:
            words = "Canceled." if canceled.has_ended else "The provider is asked to cancel; its outcome decides."
            self.message_user(request, words, messages.SUCCESS)
        return self._back(pk)

    def retry(self, request: HttpRequest, pk: str) -> HttpResponse:
        """Runs the same input once more as a new job, which the client pays for by its terms."""
        job = self._job(request, pk, needs="jobs.retry_job")
        try:
            made = retry(job, actor=Actor.of(request.user), reason=posted_text(request))
        except ApiError as error:
            self._refused(request, error)
            return self._back(pk)
        self.message_user(request, f"Accepted as {made.pk}.", messages.SUCCESS)
        return self._back(made.pk)

    def refund(self, request: HttpRequest, pk: str) -> HttpResponse:
        """A form; the same once more, to confirm; then the refund."""
        job = self._job(request, pk, needs="jobs.refund_job")
        charged = charged_for(job.pk)
        form = RefundForm(request.POST if request.method == "POST" else None, initial={"amount": charged})
        context: dict[str, Any] = {"form": form, "charged": charged}
        if request.method == "POST" and form.is_valid():
            if not form.was_shown(request.POST.get("seal", "")):
                typed = [(name, form.data[name]) for name in form.fields if name in form.data]
                context |= {"seal": form.seal(), "typed": typed, "amount": form.cleaned_data["amount"]}
            else:
                try:
                    refund(job.pk, actor=Actor.of(request.user), **form.cleaned_data)
                except MoneyRefusedError as error:
                    form.add_error(None, str(error))
                else:
                    self.message_user(request, "Refunded.", messages.SUCCESS)
                    return self._back(pk)
        return self._page(request, "admin/jobs/job/refund.html", f"Refund {job.pk}", job, context)

    def decide(self, request: HttpRequest, pk: str) -> HttpResponse:
        """Books what a person says of a settlement whose bill waits."""
        self._job(request, pk, needs="pricing.move_money")
        try:
            decide(pk, request.POST.get("do", ""), actor=Actor.of(request.user), reason=posted_text(request))
        except (DecisionError, MoneyRefusedError) as error:
            self.message_user(request, str(error), messages.ERROR)
        else:
            self.message_user(request, "Decided.", messages.SUCCESS)
        return self._back(pk)

    def _job(self, request: HttpRequest, pk: str, *, needs: str = "") -> Job:
        if not self.has_view_permission(request) or (needs and not request.user.has_perm(needs)):
            raise PermissionDenied
        job = Job.objects.select_related("client", "model", "key").filter(pk=pk.replace("\x00", "")[:40]).first()
        if job is None:
            raise Http404
        return job

    def _page(self, request: HttpRequest, template: str, title: str, job: Job, context: Any) -> HttpResponse:
        common = {"title": title, "job": job, "opts": self.opts, **self.admin_site.each_context(request)}
        return TemplateResponse(request, template, common | context)

    def _refused(self, request: HttpRequest, error: ApiError) -> None:
        self.message_user(request, f"{error.message} {error.hint}".strip(), messages.ERROR)

    @staticmethod
    def _back(pk: str) -> HttpResponse:
        return HttpResponseRedirect(reverse("admin:jobs_job_change", args=[pk]))


def _two_lines(first: str, second: str) -> SafeString:
    return format_html('{}<br><span class="gf-note">{}</span>', first, second)
