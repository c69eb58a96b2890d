"""Budgets in Django admin: what clients may spend in a day, a month or at all, and where that stands."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.safestring import SafeString

from genfeed.clients.models import ApiKey, Client
from genfeed.journal.audit import Actor
from genfeed.journal.pages import ReadOnlyAdmin, badge, posted_text
from pricing.admin.addresses import BadAddressError, find_model
from pricing.admin.moving import UsdField
from pricing.budgets.reserving import describe, standing_of
from pricing.budgets.setting import BadBudgetError, Draft, add_budget, change_budget, end_budget
from pricing.models import Budget
from pricing.models.budgets import THRESHOLDS
from pricing.money import format_usd


class LimitForm(forms.Form):
    """What of a budget may change."""

    limit = UsdField(label="Limit, USD", help_text="e.g. 25.50; 0 stops everything.")
    is_hard = forms.BooleanField(required=False, initial=True, label="Refuse requests over it")
    thresholds = forms.CharField(
        required=False,
        max_length=60,
        initial=", ".join(map(str, THRESHOLDS)),
        help_text="Percent at which notices are sent, by commas.",
    )
    reason = forms.CharField(max_length=500, help_text="For the audit.")

    def clean_thresholds(self) -> tuple[int, ...]:
        parts = [part.strip() for part in self.cleaned_data["thresholds"].split(",") if part.strip()]
        if not all(part.isascii() and part.isdecimal() and len(part) <= 3 for part in parts):
            raise forms.ValidationError("Write whole numbers, by commas, e.g. 50, 80, 100.")
        return tuple(int(part) for part in parts)


class BudgetForm(LimitForm):
    """A new budget."""

    client = forms.ModelChoiceField(Client.customers.all())
    period = forms.ChoiceField(choices=Budget.Period.choices)
    key = forms.CharField(required=False, max_length=100, help_text="A key's prefix or key_…; empty: all keys.")
    model = forms.CharField(required=False, max_length=300, help_text="A model's id, or provider:id; empty: all.")
    category = forms.CharField(required=False, max_length=80, help_text="e.g. text-to-image; empty: all.")
    field_order = ["client", "period", "limit", "is_hard", "key", "model", "category", "thresholds", "reason"]

    def clean(self) -> dict[str, Any]:
        data = super().clean() or self.cleaned_data
        data["key_id"] = data["model_id"] = None
        if data.get("model"):
            try:
                data["model_id"] = find_model(data["model"]).pk
            except BadAddressError as error:
                self.add_error("model", str(error))
        if data.get("key") and data.get("client"):
            keys = ApiKey.objects.filter(client=data["client"])
            found = [one for one in keys if data["key"].strip() in (one.prefix, one.public_id)]
            if len(found) != 1:
                self.add_error("key", "The client has several such keys." if found else "The client has no such key.")
            else:
                data["key_id"] = found[0].pk
        return data

    def draft(self) -> Draft:
        data = self.cleaned_data
        scope = (data["key_id"], data["model_id"], data["category"].strip())
        return Draft(data["period"], data["limit"], *scope, data["is_hard"], data["thresholds"])


@admin.register(Budget)
class BudgetAdmin(ReadOnlyAdmin):
    empty_words = "No client is bound by a budget yet. Add one here, or on the client's account."
    list_display = ["words", "client", "standing", "limit_usd", "origin", "is_hard", "is_active"]
    list_display_links = ["words"]
    list_filter = ["is_active", "period", "origin", "is_hard"]
    list_select_related = ["client", "key", "model"]
    list_per_page = 50
    search_fields = ["client__name", "model__endpoint_id", "category"]
    search_help_text = "Words in client, model or category."

    @admin.display(description="budget")
    def words(self, budget: Budget) -> str:
        return describe(budget)

    @admin.display(description="limit, USD", ordering="limit")
    def limit_usd(self, budget: Budget) -> str:
        return format_usd(budget.limit)

    @admin.display(description="now")
    def standing(self, budget: Budget) -> SafeString:
        now = standing_of(budget, now=timezone.now())
        used = now.spent + now.reserved
        words = f"{format_usd(used)} used, {format_usd(now.left)} left"
        look = "bad" if used >= budget.limit else "warn" if used * 100 >= budget.limit * 80 else "good"
        return badge(words, look if budget.is_active else "")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("pricing.add_budget")

    def has_edit_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("pricing.change_budget")

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        """A form; posted, the budget, which counts from now on."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        asked = {name: request.GET[name].replace("\x00", "")[:20] for name in ("client",) if name in request.GET}
        form = BudgetForm(request.POST if request.method == "POST" else None, initial=asked)
        if request.method == "POST" and form.is_valid():
            reason = form.cleaned_data["reason"]
            try:
                add_budget(form.cleaned_data["client"].pk, form.draft(), actor=Actor.of(request.user), reason=reason)
            except BadBudgetError as error:
                form.add_error(error.field if error.field in form.fields else None, str(error))
            else:
                self.message_user(request, "Added; it counts from now on.", messages.SUCCESS)
                return HttpResponseRedirect(reverse("admin:pricing_budget_changelist"))
        return self._page(request, "New budget", {"form": form})

    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        """A budget with where it stands; a POST changes its limit, or ends it."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        budget = self.get_object(request, object_id or "")
        if budget is None:
            raise Http404
        initial = {
            "limit": budget.limit,
            "is_hard": budget.is_hard,
            "thresholds": ", ".join(map(str, budget.thresholds)),
        }
        form = LimitForm(request.POST if request.method == "POST" else None, initial=initial)
        if request.method == "POST":
            if not self.has_edit_permission(request):
                raise PermissionDenied
            if answer := self._change(request, budget, form):
                return answer
        context = {
            "budget": budget,
            "standing": standing_of(budget, now=timezone.now()),
            "form": form if self.has_edit_permission(request) and budget.is_active else None,
        }
        return self._page(request, describe(budget).capitalize(), context)

    def _change(self, request: HttpRequest, budget: Budget, form: LimitForm) -> HttpResponse | None:
        actor = Actor.of(request.user)
        if request.POST.get("do") == "end":
            reason = posted_text(request)
            if not reason:
                form.add_error("reason", "Say why.")
                return None
            end_budget(budget, actor=actor, reason=reason)
        elif form.is_valid():
            data = form.cleaned_data
            scope = (budget.key_id, budget.model_id, budget.category)
            draft = Draft(budget.period, data["limit"], *scope, data["is_hard"], data["thresholds"])
            try:
                change_budget(budget, draft, actor=actor, reason=data["reason"])
            except BadBudgetError as error:
                form.add_error(error.field if error.field in form.fields else None, str(error))
                return None
        else:
            return None
        self.message_user(request, "Done.", messages.SUCCESS)
        return HttpResponseRedirect(reverse("admin:pricing_budget_change", args=[budget.pk]))

    def _page(self, request: HttpRequest, title: str, context: dict[str, Any]) -> HttpResponse:
        common = {"title": title, "opts": self.opts, **self.admin_site.each_context(request)}
        return TemplateResponse(request, "admin/pricing/budget/page.html", common | context)
