"""The existing collection in the admin: its models beside their cost, what they earn, and the owner's opt-in."""

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.views.decorators.http import require_POST

from catalog import published
from genfeed.journal.audit import Actor
from genfeed.journal.pages import ReadOnlyAdmin, badge, posted_text
from pricing.existing.adopting import AdoptionResult, adopt_prices, keep_prices, why_not_adoptable
from pricing.existing.profitability import WORDS, analyze_existing_profitability, profitability_csv
from pricing.margins.book import load_book
from pricing.models import Equivalence, ExistingModel
from pricing.selling.offers import load_sellables
from pricing.selling.prices import offer_of

MAY_DECIDE = "pricing.decide_existing"
_LOOKS = {"same": ("same id", "good"), "equivalent": ("equivalent", "good"), "none": ("only here", "")}


@admin.register(ExistingModel)
class ExistingModelAdmin(ReadOnlyAdmin):
    # Narrow enough that at 1280 pixels nothing lies beyond the edge.
    list_display = ["title", "own_price", "cost", "standing"]
    list_display_links = ["title"]
    list_filter = ["match", "keeps_price", "model__provider"]
    list_select_related = ["model__provider", "counterpart"]
    list_per_page = 50
    show_full_result_count = False
    search_fields = ["legacy_id", "name", "provider_name"]
    search_help_text = "Words in id, name or provider."
    actions = ["adopt", "keep"]
    change_list_template = "admin/pricing/existingmodel/list.html"
    change_form_template = "admin/pricing/existingmodel/page.html"

    # --- the list ---

    @admin.display(description="model", ordering="legacy_id")
    def title(self, row: ExistingModel) -> SafeString:
        return format_html('{}<br><span class="gf-id">{}:{}</span>', row.name, row.provider_name, row.legacy_id)

    @admin.display(description="own price", ordering="keeps_price")
    def own_price(self, row: ExistingModel) -> SafeString:
        sold_at = badge("sold at its own price") if row.keeps_price else badge("sold at the computed price", "warn")
        return format_html("{}<br>{}", in_words(row.pricing) or "none", sold_at)

    @admin.display(description="provider's cost")
    def cost(self, row: ExistingModel) -> str:
        return in_words(row.provider_cost) or "not known"

    @admin.display(description="provider", ordering="match")
    def standing(self, row: ExistingModel) -> SafeString:
        shown = badge(*_LOOKS[row.match], row.get_match_display())
        if row.counterpart is None:
            return shown
        url = reverse("admin:catalog_aimodel_change", args=[row.counterpart.pk])
        return format_html('{}<br><a href="{}">{}</a>', shown, url, row.counterpart.endpoint_id)

    @admin.action(description="Adopt computed prices (shows them first)", permissions=["decide"])
    def adopt(self, request: HttpRequest, queryset: QuerySet[ExistingModel]) -> HttpResponse:
        """Shows what would change; the form on that page carries it out."""
        if request.POST.get("sure") == "yes":
            self._tell(request, adopt_prices(queryset, actor=Actor.of(request.user)), "now sold at the computed price")
            return HttpResponseRedirect(reverse("admin:pricing_existingmodel_changelist"))
        return self._preview(request, list(queryset.select_related("model__pricing").order_by("pk")))

    @admin.action(description="Keep their own prices", permissions=["decide"])
    def keep(self, request: HttpRequest, queryset: QuerySet[ExistingModel]) -> None:
        self._tell(request, keep_prices(queryset, actor=Actor.of(request.user)), "sold at its own price again")

    def has_decide_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm(MAY_DECIDE)

    def _preview(self, request: HttpRequest, rows: list[ExistingModel]) -> HttpResponse:
        offers = computed_prices([row.model_id for row in rows])
        shown = [(row, offers.get(row.model_id, {}), why_not_adoptable(row)) for row in rows]
        context = {
            "title": "Adopt computed prices",
            "rows": [{"row": row, "price": price, "why_not": why} for row, price, why in shown],
            "adoptable": sum(not why for _, _, why in shown),
            "opts": self.opts,
            **self.admin_site.each_context(request),
        }
        return TemplateResponse(request, "admin/pricing/existingmodel/adopt.html", context)

    def _tell(self, request: HttpRequest, result: AdoptionResult, words: str) -> None:
        published.forget()
        if result.changed:
            what = result.changed[0] if len(result.changed) == 1 else f"{len(result.changed)} models"
            self.message_user(request, f"{what}: {words}.", messages.SUCCESS)
        if result.refused:
            first, why = next(iter(result.refused.items()))
            more = f" and {len(result.refused) - 1} more" if len(result.refused) > 1 else ""
            self.message_user(request, f"Left as it is: {first}{more}: {why}.", messages.WARNING)

    # --- pages ---

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        own = [
            path("profitability/", view(self.profitability), name="pricing_existing_profitability"),
            path("profitability.csv", view(self.profitability_csv), name="pricing_existing_profitability_csv"),
            path("<int:pk>/price/", view(require_POST(self.decide)), name="pricing_existing_decide"),
        ]
        return own + super().get_urls()

    def profitability(self, request: HttpRequest) -> HttpResponse:
        """Own prices against costs, loss makers first."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        found = analyze_existing_profitability()
        counts = {state: sum(one.state == state for one in found) for state in ("loss", "thin", "good", "unknown")}
        context = {
            "title": "Profitability of the existing models",
            "found": found,
            "counts": counts,
            "words": WORDS,
            "opts": self.opts,
            **self.admin_site.each_context(request),
        }
        return TemplateResponse(request, "admin/pricing/existingmodel/profitability.html", context)

    def profitability_csv(self, request: HttpRequest) -> HttpResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        answer = HttpResponse(
            profitability_csv(analyze_existing_profitability()), content_type="text/csv; charset=utf-8"
        )
        answer.headers["Content-Disposition"] = 'attachment; filename="profitability.csv"'
        return answer

    def decide(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Adopts the computed price of one model, or keeps its own; the page shows both beside the buttons."""
        if not self.has_decide_permission(request):
            raise PermissionDenied
        row = get_object_or_404(ExistingModel, pk=pk)
        actor, reason = Actor.of(request.user), posted_text(request)
        if request.POST.get("do") == "adopt":
            self._tell(request, adopt_prices([row], actor=actor, reason=reason), "now sold at the computed price")
        else:
            self._tell(request, keep_prices([row], actor=actor, reason=reason), "sold at its own price again")
        return HttpResponseRedirect(reverse("admin:pricing_existingmodel_change", args=[pk]))

    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        row = self.get_object(request, object_id or "")
        if row is None:
            raise Http404
        pairs = Equivalence.objects.filter(Q(left=row.model) | Q(right=row.model)).select_related("left", "right")
        context = {
            "title": row.name,
            "row": row,
            "own": in_words(row.pricing),
            "cost": in_words(row.provider_cost),
            "computed": computed_prices([row.model_id]).get(row.model_id, {}),
            "why_not": why_not_adoptable(row) if row.keeps_price else "",
            "pairs": pairs,
            "may_decide": self.has_decide_permission(request),
            "opts": self.opts,
            **self.admin_site.each_context(request),
            **(extra_context or {}),
        }
        return TemplateResponse(request, self.change_form_template, context)


def in_words(prices: dict[str, str]) -> str:
    """Legacy prices for a person: "0.05 USD per image"."""
    return ", ".join(f"{text} USD per {WORDS[name]}" for name, text in prices.items() if name in WORDS)


def computed_prices(keys: list[int]) -> dict[int, dict[str, Any]]:
    """What cost and margin rules make the prices of these models, whether that price stands or not."""
    book = load_book()
    return {
        model.pk: offer_of(model.standing, book.applied(model).terms).price
        for model in load_sellables(keys)
        if model.standing.priced
    }
