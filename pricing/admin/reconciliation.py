"""Bills against books: the page Reconciliation, the bills behind its numbers, and decisions over those that wait."""

from datetime import timedelta
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.views.decorators.http import require_POST
from django_q.tasks import async_task

from catalog.sync_runs import ensure_providers
from genfeed.journal.audit import Actor, Change, record
from genfeed.journal.pages import ReadOnlyAdmin, badge, posted_text
from pricing.ledger.afterwards import charged_for, cost_of
from pricing.models import Bill, BillingEvent
from pricing.money import format_usd
from pricing.reconciling.deciding import DECISIONS, DecisionError, decide
from pricing.reconciling.figures import figures, figures_csv

State = Bill.State
LOOKS = {
    State.MATCHED: "good", State.CORRECTED: "good", State.QUARANTINED: "bad", State.ORPHAN: "warn",
    State.DISPUTED: "warn",
}  # fmt: skip
DAYS = (7, 30, 90)


@admin.register(Bill)
class BillAdmin(ReadOnlyAdmin):
    empty_words = (
        "No bill was read yet. That needs FAL_ADMIN_KEY; then they come every hour, or at once under Reconciliation."
    )
    list_display = ["linked", "standing", "billed", "booked", "time"]
    list_display_links = None
    list_filter = ["state", "provider"]
    list_select_related = ["usage"]
    list_per_page = 50
    show_full_result_count = False
    search_fields = ["request_id", "usage__job", "endpoint_id"]
    search_help_text = "The provider's request id, our job's, or words in the model's id."
    change_list_template = "admin/pricing/bill/list.html"
    change_form_template = "admin/pricing/bill/page.html"

    @admin.display(description="request", ordering="request_id")
    def linked(self, bill: Bill) -> SafeString:
        return format_html(
            '<a href="{}">{}</a><br><span class="gf-id">{}</span>',
            reverse("admin:pricing_bill_change", args=[bill.pk]), bill.endpoint_id, bill.request_id,
        )  # fmt: skip

    @admin.display(description="state", ordering="state")
    def standing(self, bill: Bill) -> SafeString:
        shown = badge(bill.get_state_display(), LOOKS.get(State(bill.state), ""))
        return format_html('{}<br><span class="gf-note">{}</span>', shown, bill.words) if bill.words else shown

    @admin.display(description="billed, USD", ordering="total")
    def billed(self, bill: Bill) -> str:
        return format_usd(bill.total)

    @admin.display(description="settled at, USD", ordering="booked_cost")
    def booked(self, bill: Bill) -> str:
        return "" if bill.booked_cost is None else format_usd(bill.booked_cost)

    @admin.display(description="time (UTC)", ordering="at")
    def time(self, bill: Bill) -> str:
        return f"{bill.at:%Y-%m-%d %H:%M}"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Bill]:
        return super().get_queryset(request).select_related("usage", "model", "provider")

    def may_decide(self, request: HttpRequest) -> bool:
        return request.user.has_perm("pricing.move_money")

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        own = [
            path("reconciliation/", view(self.page), name="pricing_reconciliation"),
            path("reconciliation/days.csv", view(self.days_csv), name="pricing_reconciliation_csv"),
            path("reconciliation/run/", view(require_POST(self.run_now)), name="pricing_reconciliation_run"),
            path("<int:pk>/decide/", view(require_POST(self.decide)), name="pricing_bill_decide"),
        ]
        return own + super().get_urls()

    def page(self, request: HttpRequest) -> HttpResponse:
        """Watermarks, totals by day, what waits, and how near the estimates come."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        days = _days(request)
        context = {
            "title": "Reconciliation",
            "found": figures(since=timezone.now() - timedelta(days=days)),
            "days": days,
            "choices": DAYS,
            "may_decide": self.may_decide(request),
            "opts": self.opts,
            **self.admin_site.each_context(request),
        }
        return TemplateResponse(request, "admin/pricing/bill/reconciliation.html", context)

    def days_csv(self, request: HttpRequest) -> HttpResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        text = figures_csv(figures(since=timezone.now() - timedelta(days=_days(request))))
        answer = HttpResponse(text, content_type="text/csv; charset=utf-8")
        answer.headers["Content-Disposition"] = 'attachment; filename="reconciliation.csv"'
        return answer

    def run_now(self, request: HttpRequest) -> HttpResponse:
        """Queues a run that looks back a week; the worker makes it."""
        if not self.may_decide(request):
            raise PermissionDenied
        provider = ensure_providers().get(posted_text(request, "provider"))
        if provider is None:
            raise Http404
        actor = Actor.of(request.user)
        record("provider.reconciliation_asked", [Change(provider)], actor=actor)
        async_task("pricing.tasks.reconcile", provider.slug, "admin", actor.name, True)
        self.message_user(request, f"The bill of {provider.name} will be read now; reload in a moment.")
        return HttpResponseRedirect(reverse("admin:pricing_reconciliation"))

    def decide(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Books what a person says of a bill that waits."""
        if not self.may_decide(request):
            raise PermissionDenied
        try:
            bill = decide(pk, request.POST.get("do", ""), actor=Actor.of(request.user), reason=posted_text(request))
        except Bill.DoesNotExist:
            raise Http404 from None
        except DecisionError as error:
            self.message_user(request, str(error), messages.ERROR)
        else:
            self.message_user(request, f"Decided: {DECISIONS[State(bill.state)]}.", messages.SUCCESS)
        return HttpResponseRedirect(reverse("admin:pricing_bill_change", args=[pk]))

    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        bill = self.get_object(request, object_id or "")
        if bill is None:
            raise Http404
        job = bill.usage.job if bill.usage else ""
        lines = BillingEvent.objects.filter(provider_id=bill.provider_id, request_id=bill.request_id)
        context = {
            "title": f"Bill of {bill.request_id}",
            "bill": bill,
            "look": LOOKS.get(State(bill.state), ""),
            "lines": [(line, format_usd(line.subtotal), format_usd(line.total)) for line in lines],
            "amounts": _amounts(bill, job),
            "choices": list(DECISIONS.items()),
            "may_decide": self.may_decide(request) and bill.state == State.QUARANTINED,
            "opts": self.opts,
            **self.admin_site.each_context(request),
            **(extra_context or {}),
        }
        return TemplateResponse(request, self.change_form_template, context)


def _amounts(bill: Bill, job: str) -> list[tuple[str, str]]:
    rows: list[tuple[str, int | None]] = [
        ("billed before discounts", bill.subtotal),
        ("billed, after discounts", bill.total),
    ]
    if bill.usage:
        rows += [
            ("quoted cost", bill.usage.quoted_cost),
            ("quoted price", bill.usage.quoted_price),
            ("cost at settlement", bill.usage.cost),
            ("charge at settlement", bill.usage.charge),
            ("cost in the books now", cost_of(job)),
            ("charged now, after refunds", charged_for(job)),
        ]
    return [(words, "" if amount is None else f"{format_usd(amount)} USD") for words, amount in rows]


def _days(request: HttpRequest) -> int:
    asked = request.GET.get("days", "")
    return int(asked) if asked in map(str, DAYS) else 30
