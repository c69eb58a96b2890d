"""Recommendations in the admin: the list, what each would do, and the policy that acts by itself."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.views.decorators.http import require_POST

from genfeed.journal.audit import Actor
from genfeed.journal.pages import ReadOnlyAdmin, badge, posted_text
from pricing.models import EnablementPolicy, Recommendation
from pricing.money import show_usd
from pricing.reports import recommendations, rollups
from pricing.reports.policy import FIELDS, plan, policy, set_policy
from pricing.reports.recommendations import DecisionError, permission_of

_LOOKS = {"open": "warn", "applied": "good"}
_DECIDE = {"apply": recommendations.apply, "dismiss": recommendations.dismiss, "undo": recommendations.undo}
_DONE = {"apply": "Applied.", "dismiss": "Dismissed.", "undo": "Taken back."}


class StateFilter(admin.SimpleListFilter):
    title, parameter_name = "state", "state"

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin) -> list[tuple[str, str]]:
        return [*Recommendation.State.choices, ("all", "all")]

    def choices(self, changelist: Any) -> Any:
        return list(super().choices(changelist))[1:]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        wanted = self.value() or "open"
        return queryset if wanted == "all" else queryset.filter(state=wanted)

    def value(self) -> str | None:
        return super().value() or "open"


class PolicyFilter(admin.BooleanFieldListFilter):
    """Its heading is "By hand or policy"."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.title = "hand or policy"


class PolicyForm(forms.ModelForm):
    most_a_day = forms.IntegerField(label="At most so many models a day", min_value=1, max_value=1000)

    class Meta:
        model = EnablementPolicy
        fields = FIELDS


@admin.register(Recommendation)
class RecommendationAdmin(ReadOnlyAdmin):
    list_display = ["linked", "reason", "amount", "standing"]
    list_display_links = None
    list_filter = [StateFilter, "kind", ("by_policy", PolicyFilter)]
    list_per_page = 50
    show_full_result_count = False
    search_fields = ["title", "model__endpoint_id", "client__name"]
    search_help_text = "Words in the title, the model's id or the client's name."
    change_list_template = "admin/pricing/recommendation/list.html"

    @admin.display(description="recommendation", ordering="title")
    def linked(self, one: Recommendation) -> SafeString:
        url = reverse("admin:pricing_recommendation_change", args=[one.pk])
        return format_html('<a href="{}">{}</a>', url, one.title)

    @admin.display(description="why, and what it would have changed")
    def reason(self, one: Recommendation) -> SafeString:
        return format_html('<div class="gf-sentence">{}<br><span class="gf-note">{}</span></div>', one.why, one.effect)

    @admin.display(description="USD in 30 days", ordering="effect_amount")
    def amount(self, one: Recommendation) -> str:
        return f"{'+' if one.effect_amount > 0 else ''}{show_usd(one.effect_amount)}"

    @admin.display(description="state", ordering="state")
    def standing(self, one: Recommendation) -> SafeString:
        shown = badge(one.get_state_display(), _LOOKS.get(one.state, ""))
        if not one.decided_by:
            return shown
        return format_html('{}<br><span class="gf-note">{}</span>', shown, one.decided_by)

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        own = [
            path("compute/", view(require_POST(self.compute)), name="pricing_recommend"),
            path("policy/", view(self.policy_page), name="pricing_policy"),
            path("<int:pk>/decide/<slug:what>/", view(require_POST(self.decide)), name="pricing_recommendation_decide"),
        ]
        return own + super().get_urls()

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> Any:
        return super().changelist_view(request, {"title": "Recommendations", **(extra_context or {})})

    def compute(self, request: HttpRequest) -> HttpResponse:
        """Brings the sums up to date and makes the recommendations anew, at once."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        rollups.roll_up()
        self.message_user(request, f"{recommendations.recommend()} recommendations are open.", messages.SUCCESS)
        return HttpResponseRedirect(reverse("admin:pricing_recommendation_changelist"))

    def decide(self, request: HttpRequest, pk: int, what: str) -> HttpResponse:
        """Applies, dismisses or takes back."""
        one = Recommendation.objects.filter(pk=pk).first()
        if one is None or what not in _DECIDE:
            raise Http404
        if not request.user.has_perm(permission_of(one)):
            raise PermissionDenied
        try:
            _DECIDE[what](pk, actor=Actor.of(request.user), reason=posted_text(request)[:400])
        except DecisionError as error:
            self.message_user(request, str(error), messages.ERROR)
        else:
            self.message_user(request, _DONE[what], messages.SUCCESS)
        return HttpResponseRedirect(reverse("admin:pricing_recommendation_change", args=[pk]))

    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        one = self.get_object(request, object_id or "")
        if one is None:
            raise Http404
        context = {
            "title": one.title,
            "one": one,
            "look": _LOOKS.get(one.state, ""),
            "does": _in_words(one),
            "may_decide": request.user.has_perm(permission_of(one)),
            "permission": permission_of(one),
            "opts": self.opts,
            **self.admin_site.each_context(request),
            **(extra_context or {}),
        }
        return TemplateResponse(request, "admin/pricing/recommendation/page.html", context)

    def policy_page(self, request: HttpRequest) -> HttpResponse:
        """The policy, and what it would do now: the dry run is what stands in the form, saved or not."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        may_change = request.user.has_perm("pricing.run_policy")
        row = policy()
        form = PolicyForm(request.POST or None, instance=row)
        if request.method == "POST" and form.is_valid() and "save" in request.POST:
            if not may_change:
                raise PermissionDenied
            set_policy(form.cleaned_data, actor=Actor.of(request.user), reason=posted_text(request)[:400])
            self.message_user(request, "The policy is saved.", messages.SUCCESS)
            return HttpResponseRedirect(reverse("admin:pricing_policy"))
        tried = EnablementPolicy(**form.cleaned_data) if form.is_bound and form.is_valid() else policy()
        done = Recommendation.objects.filter(by_policy=True).select_related("model").order_by("-decided_at")[:20]
        context = {
            "title": "Enablement by profitability",
            "form": form,
            "policy": policy(),
            "steps": plan(tried),
            "done": done,
            "may_change": may_change,
            "opts": self.opts,
            **self.admin_site.each_context(request),
        }
        return TemplateResponse(request, "admin/pricing/recommendation/policy.html", context)


def _in_words(one: Recommendation) -> str:
    does = one.does
    if "switch" in does:
        many = len(does["models"])
        return f"Switches {many} model{'s' * (many > 1)} {does['switch']}, by hand: a sync will not change that."
    if "margin" in does:
        return f"Adds a margin rule of {does['margin']} for this model; the new selling price is published at once."
    return f"Sets {does['limit'].replace('_', ' ')} of this client to {does['value']}."
