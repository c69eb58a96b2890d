"""Price rules: what was read from texts, what waits for review, and the page where one is read, written and tried."""

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from catalog import published
from catalog.models import AIModel
from genfeed.journal.audit import Actor
from genfeed.journal.pages import ReadOnlyAdmin, badge, posted_text
from pricing.estimates.facts import Facts, load_facts
from pricing.models import ModelPricing, PricePoint, PriceRule
from pricing.rules.check import BadRule
from pricing.rules.editing import activate, retire, save_rule
from pricing.rules.trial import Trial, first_trial, read_json, try_out
from pricing.rules.words import rule_sentences

LOOKS = {"active": "good", "proposed": "warn"}


@admin.register(PriceRule)
class PriceRuleAdmin(ReadOnlyAdmin):
    list_display = ["model_id_shown", "shown_state", "review", "made"]
    list_display_links = ["model_id_shown"]
    list_filter = ["state", "source", "contradicts_row"]
    list_select_related = ["model"]
    list_per_page = 50
    show_full_result_count = False
    search_fields = ["model__endpoint_id", "model__name"]
    search_help_text = "Words in id or name of the model."
    change_form_template = "admin/pricing/pricerule/page.html"

    @admin.display(description="model", ordering="model__endpoint_id")
    def model_id_shown(self, rule: PriceRule) -> str:
        return rule.model.endpoint_id

    @admin.display(description="state", ordering="state")
    def shown_state(self, rule: PriceRule) -> SafeString:
        shown = badge(rule.state, LOOKS.get(rule.state, ""))
        return format_html('{}<br><span class="gf-note">{}</span>', shown, rule.get_source_display())

    @admin.display(description="made (UTC)", ordering="created_at")
    def made(self, rule: PriceRule) -> str:
        decided = f", decided by {rule.decided_by}" if rule.decided_by else ""
        return f"{rule.created_at:%Y-%m-%d %H:%M}{decided}"

    @admin.display(description="what to look at")
    def review(self, rule: PriceRule) -> SafeString | str:
        said = list(rule.problems[:2])
        if rule.contradicts_row:
            said.append("contradicts the price row")
        return format_html('<span class="gf-note">{}</span>', "; ".join(said)) if said else ""

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        return [path("model/<int:pk>/", view(self.model_page), name="pricing_model_rule"), *super().get_urls()]

    def model_page(self, request: HttpRequest, pk: int) -> HttpResponse:
        """The rule that counts for a model, else the proposed one, else an empty page to write one."""
        row = get_object_or_404(AIModel, pk=pk)
        live = PriceRule.objects.filter(model=row).exclude(state=PriceRule.State.RETIRED).order_by("state").first()
        return self._page(request, row, live)

    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        rule = self.get_object(request, object_id or "")
        if rule is None:
            raise Http404
        return self._page(request, rule.model, rule)

    def _page(self, request: HttpRequest, row: AIModel, rule: PriceRule | None) -> HttpResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        facts = next(load_facts([row.pk]))
        trial = first_trial(facts, rule.body if rule else None)
        if request.method == "POST":
            what = request.POST.get("do", "try")
            if what != "try":
                done = self._carry_out(request, what, row, rule, facts)
                if isinstance(done, HttpResponse):
                    return done
                trial = done
            else:
                trial = _tried(request, row, facts)
        context = {
            "title": f"Price rule of {row.name}",
            "row": row,
            "rule": rule,
            "facts": facts,
            "sentences": rule_sentences(trial.rule or (rule.body if rule else {})),
            "trial": trial,
            "texts": ModelPricing.objects.filter(model=row).first(),
            "point": PricePoint.objects.filter(model=row, standing=PricePoint.Standing.CURRENT).first(),
            "others": PriceRule.objects.filter(model=row).exclude(pk=rule.pk if rule else 0)[:20],
            "may_decide": self.has_decide_permission(request),
            "opts": self.opts,
            **self.admin_site.each_context(request),
        }
        return TemplateResponse(request, self.change_form_template, context)

    def has_decide_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("pricing.decide_rule")

    def _carry_out(
        self, request: HttpRequest, what: str, row: AIModel, rule: PriceRule | None, facts: Facts
    ) -> HttpResponse | Trial:
        """Carries out the button that was pressed, or returns the form with what is wrong."""
        if not self.has_decide_permission(request):
            raise PermissionDenied
        actor, reason = Actor.of(request.user), posted_text(request)
        trial = Trial(request.POST.get("body", ""), request.POST.get("input", "{}"), request.POST.get("media", "{}"))
        try:
            if what in ("activate", "retire") and rule:
                done = (activate if what == "activate" else retire)(rule, actor=actor, reason=reason)
                words = f"The rule is {done.state}."
            elif what in ("save", "propose"):
                body = read_json("The rule", trial.body, trial)
                if trial.problems:
                    return trial
                done = save_rule(row, body, activate=what == "save", actor=actor, reason=reason)
                words = f"The rule is saved and {done.state}."
            else:
                raise Http404
        except BadRule as error:
            trial.problems = error.problems
            return trial
        published.forget()
        self.message_user(request, words, messages.SUCCESS)
        return HttpResponseRedirect(reverse("admin:pricing_pricerule_change", args=[done.pk]))


def _tried(request: HttpRequest, row: AIModel, facts: Facts) -> Trial:
    typed = request.POST
    return try_out(facts, row, body=typed.get("body", ""), input=typed.get("input", ""), media=typed.get("media", ""))
