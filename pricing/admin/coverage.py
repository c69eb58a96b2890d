"""Price coverage: how many models have an estimate of which confidence, and the rows behind every number."""

from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from catalog.models import AIModel
from genfeed.journal.pages import ReadOnlyAdmin, badge
from pricing.admin.quality import QUALITY_ACTIONS
from pricing.estimates.costs import CONFIDENCES
from pricing.estimates.coverage import coverage
from pricing.models import ModelPricing
from pricing.money import format_usd

_LOOKS = {"exact": "good", "derived": "good", "unknown": "bad"}


class ConfidenceFilter(admin.SimpleListFilter):
    title = "confidence of the default estimate"
    parameter_name = "confidence"

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin) -> list[tuple[str, str]]:
        return [(name, name) for name in CONFIDENCES]

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        return queryset.filter(default_confidence=self.value()) if self.value() in CONFIDENCES else queryset


class _TextFilter(admin.SimpleListFilter):
    """A filter whose values are an open set: they come from the coverage page's links, not from a list of choices."""

    lookup = ""

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin) -> list[tuple[str, str]]:
        asked = request.GET.get(str(self.parameter_name), "")
        return [(asked, self.label(asked))] if asked else [("-", "(none)")]

    def label(self, value: str) -> str:
        return "(none)" if value == "-" else value

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        value = self.value()
        if value is None or "\x00" in value:
            return queryset if value is None else queryset.none()
        return queryset.filter(**{self.lookup: "" if value == "-" else value})


class UnitFilter(_TextFilter):
    title = "unit"
    parameter_name = "unit"
    lookup = "default_unit"


class CategoryFilter(_TextFilter):
    title = "category"
    parameter_name = "category"
    lookup = "model__category"


class MissingFilter(_TextFilter):
    title = "what is missing"
    parameter_name = "missing"

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        if self.value() is None:
            return queryset
        # JSON lists can't be searched the same way in both databases; only few rows miss anything.
        rows = queryset.exclude(default_missing=[]).values_list("pk", "default_missing")
        return queryset.filter(pk__in=[key for key, names in rows if self.value() in names])


@admin.register(ModelPricing)
class ModelPricingAdmin(ReadOnlyAdmin):
    list_display = ["linked_model", "confidence", "cost", "why", "quality"]
    actions = QUALITY_ACTIONS
    list_display_links = None
    list_filter = [ConfidenceFilter, UnitFilter, CategoryFilter, MissingFilter, "state"]
    list_select_related = ["model"]
    list_per_page = 50
    show_full_result_count = False
    search_fields = ["model__endpoint_id", "model__name"]
    search_help_text = "Words in id or name of the model."
    ordering = ["model__endpoint_id"]
    change_list_template = "admin/pricing/modelpricing/list.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[ModelPricing]:
        # As the coverage page counts.
        return super().get_queryset(request).exclude(model__status=AIModel.Status.RETIRED)

    def has_quality_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("pricing.decide_price")

    @admin.display(description="model", ordering="model__endpoint_id")
    def linked_model(self, row: ModelPricing) -> SafeString:
        url = reverse("admin:pricing_model_price", args=[row.model_id])
        return format_html('<a href="{}">{}</a>', url, row.model.endpoint_id)

    @admin.display(description="estimate", ordering="default_confidence")
    def confidence(self, row: ModelPricing) -> SafeString:
        return badge(row.default_confidence, _LOOKS.get(row.default_confidence, "warn"))

    @admin.display(description="default request", ordering="default_cost")
    def cost(self, row: ModelPricing) -> SafeString | str:
        if row.default_cost is None:
            return row.default_unit
        per = "" if not row.default_unit else f"in {row.default_unit}"
        return format_html('{} USD<br><span class="gf-note">{}</span>', format_usd(row.default_cost), per)

    @admin.display(description="why")
    def why(self, row: ModelPricing) -> SafeString | str:
        if not row.default_missing:
            return row.default_basis
        return format_html(
            '{}<br><span class="gf-note">missing: {}</span>', row.default_basis, ", ".join(row.default_missing)
        )

    def get_urls(self) -> list[URLPattern]:
        own = [path("coverage/", self.admin_site.admin_view(self.coverage_page), name="pricing_coverage")]
        return own + super().get_urls()

    def coverage_page(self, request: HttpRequest) -> HttpResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        found = coverage()
        context = {
            "title": "Price coverage",
            "coverage": found,
            "confidences": CONFIDENCES,
            "tables": [("unit", "By unit", found.by_unit), ("category", "By category", found.by_category)],
            "opts": self.opts,
            **self.admin_site.each_context(request),
        }
        return TemplateResponse(request, "admin/pricing/modelpricing/coverage.html", context)

    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, *args: Any, **more: Any
    ) -> HttpResponse:
        """The price page of the model tells all that stands here."""
        row = self.get_object(request, object_id or "")
        if row is None or not self.has_view_permission(request):
            raise Http404
        return HttpResponseRedirect(reverse("admin:pricing_model_price", args=[row.model_id]))
