"""Margin rules in Django admin: what stands, a new one with a preview before it is saved, and the end of one."""

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Case, QuerySet, Value, When
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.safestring import SafeString

from catalog import published
from catalog.models import AIModel
from genfeed.journal.audit import Actor
from genfeed.journal.pages import ReadOnlyAdmin, badge, posted_text
from pricing.admin.margin_form import MarginForm
from pricing.margins.book import describe, in_force, make_book, terms_of
from pricing.margins.preview import describe_rule, preview_end, preview_save
from pricing.margins.rules import BadRule, check_rule, end_rule, save_rule
from pricing.models import MarginRule


@admin.register(MarginRule)
class MarginRuleAdmin(ReadOnlyAdmin):
    list_display = ["target", "state", "scope", "terms", "starts_at", "ends_at", "created_by", "note"]
    list_display_links = ["target"]
    list_filter = ["scope", "is_active", "mode"]
    list_select_related = ["client", "model", "provider"]
    list_per_page = 50
    ordering = ["-is_active", "-created_at", "-pk"]
    add_form_template = "admin/pricing/marginrule/add.html"
    change_form_template = "admin/pricing/marginrule/page.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[MarginRule]:
        """With `counts`: whether no newer rule stands in a rule's place now."""
        book = make_book(MarginRule.objects.filter(in_force(timezone.now())))
        counting = [applied.rule_id for applied in book.rules.values()]
        counts = Case(When(pk__in=counting, then=Value(True)), default=Value(False))
        return super().get_queryset(request).annotate(counts=counts)

    @admin.display(description="for")
    def target(self, rule: MarginRule) -> str:
        return describe_rule(rule).partition(": ")[0]

    @admin.display(description="terms")
    def terms(self, rule: MarginRule) -> str:
        return describe(terms_of(rule))

    @admin.display(description="state")
    def state(self, rule: MarginRule) -> SafeString:
        return badge(*standing_words(rule))

    def has_add_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("pricing.add_marginrule")

    def has_end_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("pricing.change_marginrule")

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        """A form; then the same with a preview, still unsaved; then, confirmed, the rule."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        form = MarginForm(request.POST or None)
        context: dict[str, Any] = {"form": form, "categories": _categories()}
        if request.method == "POST" and form.is_valid():
            try:
                if request.POST.get("do") == "save" and form.was_previewed(request.POST.get("seal", "")):
                    return self._save(request, form)
                rule = check_rule(form.draft())
                context |= {"preview": preview_save(rule), "words": describe_rule(rule), "seal": form.seal()}
            except BadRule as error:
                form.refuse(error)
        return self._page(request, self.add_form_template, "New margin rule", context)

    def _save(self, request: HttpRequest, form: MarginForm) -> HttpResponse:
        rule = save_rule(form.draft(), actor=Actor.of(request.user), reason=form.cleaned_data["reason"])
        published.forget()
        later = rule.starts_at is not None and rule.starts_at > timezone.now()
        when = f"It starts at {rule.starts_at:%Y-%m-%d %H:%M} UTC." if later else "Prices follow it now."
        self.message_user(request, f"Saved: {describe_rule(rule)}. {when}", messages.SUCCESS)
        return HttpResponseRedirect(reverse("admin:pricing_marginrule_changelist"))

    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        """A rule with what ending it would do; a POST ends it."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        rule = self.get_object(request, object_id or "")
        if rule is None:
            raise Http404
        if request.method == "POST":
            return self._end(request, rule)
        words, look = standing_words(rule)
        over = words in ("ended", "over")
        context = {
            "rule": rule,
            "words": describe_rule(rule),
            "standing": words,
            "look": look,
            "is_over": over,
            "may_end": self.has_end_permission(request) and not over,
            "preview": None if over else preview_end(rule),
        }
        return self._page(request, self.change_form_template, f"Margin rule {rule.pk}", context)

    def _end(self, request: HttpRequest, rule: MarginRule) -> HttpResponse:
        if not self.has_end_permission(request):
            raise PermissionDenied
        reason = posted_text(request)
        if end_rule(rule, actor=Actor.of(request.user), reason=reason):
            published.forget()
            self.message_user(request, f"Ended: {describe_rule(rule)}.", messages.SUCCESS)
        else:
            self.message_user(request, "This rule had ended already; nothing changed.", messages.INFO)
        return HttpResponseRedirect(reverse("admin:pricing_marginrule_change", args=[rule.pk]))

    def _page(self, request: HttpRequest, template: Any, title: str, context: dict[str, Any]) -> HttpResponse:
        common = {"title": title, "opts": self.opts, **self.admin_site.each_context(request)}
        return TemplateResponse(request, template, common | context)


def standing_words(rule: MarginRule) -> tuple[str, str]:
    """Where a rule stands (`in force`, `planned`, `replaced`, `ended`, `over`), and the look of its badge."""
    now = timezone.now()
    if not rule.is_active:
        return "ended", ""
    if rule.ends_at is not None and rule.ends_at <= now:
        return "over", ""
    if rule.starts_at is not None and rule.starts_at > now:
        return "planned", "warn"
    return ("in force", "good") if rule.counts else ("replaced", "")  # type: ignore[attr-defined]


def _categories() -> list[str]:
    return list(AIModel.objects.exclude(category="").order_by("category").values_list("category", flat=True).distinct())
