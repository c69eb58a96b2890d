"""Prices over time, those that wait for a decision, and the page where the price of one model is decided."""

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.views.decorators.http import require_POST

from catalog import published
from catalog.models import AIModel
from catalog.providers.base import ProviderError
from genfeed.journal.audit import Actor, Change, record
from genfeed.journal.pages import ReadOnlyAdmin, badge, posted_text
from pricing.admin.deciding import decide_each
from pricing.models import ModelPricing, PricePoint, PriceRule
from pricing.money import NotMoney
from pricing.prices.decisions import DecisionError, accept, confirm_free, reject, release_manual, set_manual
from pricing.prices.guards import FIXED_SOURCES
from pricing.prices.refresh import refresh_price

_OUTCOMES = {
    "first": "this is its first price",
    "unchanged": "the price is as it was",
    "changed": "the new price counts",
    "held": "the new price waits for a decision",
    "waiting": "the new price waits for a decision already",
    "rejected": "the provider still says what was rejected",
    "kept": "the price that stands outranks the provider's",
}
LOOKS = {"current": "good", "held": "warn", "rejected": "bad"}


@admin.register(PricePoint)
class PricePointAdmin(ReadOnlyAdmin):
    # Narrow enough that at 1280 pixels nothing lies beyond the edge.
    list_display = ["linked_model", "price", "state", "reason", "seen"]
    list_display_links = None
    list_filter = ["standing", "source"]
    list_select_related = ["model"]
    list_per_page = 50
    show_full_result_count = False
    search_fields = ["model__endpoint_id", "model__name"]
    search_help_text = "Words in id or name of the model."
    actions = ["accept_selected", "reject_selected"]
    change_form_template = "admin/pricing/pricepoint/page.html"

    # --- the list ---

    @admin.display(description="model", ordering="model__endpoint_id")
    def linked_model(self, point: PricePoint) -> SafeString:
        return format_html('<a href="{}">{}</a>', _page(point.model_id), point.model.endpoint_id)

    @admin.display(description="price", ordering="change_percent")
    def price(self, point: PricePoint) -> SafeString:
        change = "" if point.change_percent is None else f"{point.change_percent:+.1f} %"
        text = f"{point.unit_price} {point.currency} per {point.unit or '(no unit)'}"
        return format_html('{}<br><span class="gf-note">{}</span>', text, change) if change else format_html("{}", text)

    @admin.display(description="standing", ordering="standing")
    def state(self, point: PricePoint) -> SafeString:
        shown = badge(point.get_standing_display(), LOOKS.get(point.standing, ""))
        return format_html('{}<br><span class="gf-note">{}</span>', shown, point.get_source_display())

    @admin.display(description="why", ordering="decided_by")
    def reason(self, point: PricePoint) -> str:
        return f"{point.why} ({point.decided_by})" if point.decided_by else point.why

    @admin.display(description="seen (UTC)", ordering="seen_at")
    def seen(self, point: PricePoint) -> str:
        return f"{point.seen_at:%Y-%m-%d %H:%M}"

    @admin.action(description="Accept selected held prices", permissions=["decide"])
    def accept_selected(self, request: HttpRequest, queryset: QuerySet[PricePoint]) -> None:
        self._decide_all(request, queryset, accepting=True)

    @admin.action(description="Reject selected held prices", permissions=["decide"])
    def reject_selected(self, request: HttpRequest, queryset: QuerySet[PricePoint]) -> None:
        self._decide_all(request, queryset, accepting=False)

    def has_decide_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("pricing.decide_price")

    def _decide_all(self, request: HttpRequest, queryset: QuerySet[PricePoint], *, accepting: bool) -> None:
        actor, decide = Actor.of(request.user), accept if accepting else reject
        done = "accepted" if accepting else "rejected"
        decide_each(
            self, request, queryset.order_by("model_id", "pk"),
            lambda point: decide(point, actor=actor, reason=f"{done} in the list"),
            refusal=DecisionError, done=done, name=lambda point: point.model,
        )  # fmt: skip
        published.forget()

    # --- the price of one model ---

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        own = [
            path("model/<int:pk>/", view(self.model_page), name="pricing_model_price"),
            path("model/<int:pk>/decide/", view(require_POST(self.decide)), name="pricing_model_price_decide"),
        ]
        return own + super().get_urls()

    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        """A price's own address leads to its model's page."""
        point = self.get_object(request, object_id or "")
        if point is None:
            raise Http404
        return HttpResponseRedirect(_page(point.model_id))

    def model_page(self, request: HttpRequest, pk: int) -> HttpResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        row = get_object_or_404(AIModel.objects.select_related("provider"), pk=pk)
        points = list(PricePoint.objects.filter(model=row).order_by("-seen_at", "-pk")[:100])
        current = next((point for point in points if point.standing == PricePoint.Standing.CURRENT), None)
        context = {
            "title": f"Price of {row.name}",
            "row": row,
            "current": current,
            "held": next((point for point in points if point.standing == PricePoint.Standing.HELD), None),
            "points": points,
            "pricing": ModelPricing.objects.filter(model=row).first(),
            "rules": PriceRule.objects.filter(model=row).exclude(state=PriceRule.State.RETIRED),
            "may_decide": self.has_decide_permission(request),
            "may_confirm": current is not None and current.unit_price == "0" and not current.is_free,
            "may_release": current is not None and current.source in FIXED_SOURCES,
            "opts": self.opts,
            **self.admin_site.each_context(request),
        }
        return TemplateResponse(request, self.change_form_template, context)

    def decide(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Carries out the decision of whichever button was pressed."""
        if not self.has_decide_permission(request):
            raise PermissionDenied
        row = get_object_or_404(AIModel, pk=pk)
        try:
            words = _carry_out(row, request.POST, Actor.of(request.user), posted_text(request))
        except (DecisionError, NotMoney, ProviderError) as error:
            self.message_user(request, str(error), messages.ERROR)
        else:
            published.forget()
            self.message_user(request, words, messages.SUCCESS)
        return HttpResponseRedirect(_page(pk))


def _carry_out(row: AIModel, typed: Any, actor: Actor, reason: str) -> str:
    what = typed.get("do", "")
    if what in ("accept", "reject"):
        point = PricePoint.objects.filter(model=row, pk=_number(typed.get("point", ""))).first()
        if point is None:
            raise DecisionError("This price is gone; look at the page again.")
        if what == "accept":
            accept(point, actor=actor, reason=reason)
            return f"Accepted: {point}."
        reject(point, actor=actor, reason=reason or "rejected")
        return f"Rejected: {point}. The old price stays."
    if what == "set":
        point = set_manual(
            row, unit=typed.get("unit", ""), unit_price=typed.get("unit_price", ""), actor=actor, reason=reason,
            is_free="is_free" in typed,
        )  # fmt: skip
        return f"Set: {point}. No sync changes it."
    if what == "ask":
        return _asked(row, actor)
    if what == "free":
        confirm_free(row, actor=actor, reason=reason)
        return "Confirmed: this model is free."
    if what == "release":
        return f"The provider's price counts again: {release_manual(row, actor=actor, reason=reason)}."
    raise DecisionError("No such decision.")


def _asked(row: AIModel, actor: Actor) -> str:
    outcome = refresh_price(row)
    after = {"outcome": outcome.kind if outcome else "no price"}
    record("price.asked", [Change(row, after=after)], actor=actor)
    if outcome is None:
        return "The provider has no price for this model."
    return f"Asked: {_OUTCOMES[outcome.kind]}{f' ({outcome.why})' if outcome.why else ''}."


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else 0


def _page(model_key: int) -> str:
    return reverse("admin:pricing_model_price", args=[model_key])
