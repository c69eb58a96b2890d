"""The history of a model's selling price: a plot and the table beside it."""

from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from catalog.models import AIModel
from genfeed.journal.pages import ReadOnlyAdmin
from pricing.models import SellingPrice
from pricing.money import format_usd
from pricing.selling.history import Period, periods_of
from pricing.selling.plot import plot

_ROWS = 200


@admin.register(SellingPrice)
class SellingPriceAdmin(ReadOnlyAdmin):
    list_display = ["effective_from", "linked_model", "amount", "reason"]
    list_select_related = ["model"]
    list_per_page = 50
    show_full_result_count = False
    search_fields = ["model__endpoint_id", "model__name"]
    search_help_text = "Words in id or name of the model."

    @admin.display(description="model", ordering="model__endpoint_id")
    def linked_model(self, row: SellingPrice) -> SafeString:
        return format_html('<a href="{}">{}</a>', _page(row.model_id), row.model.endpoint_id)

    @admin.display(description="price")
    def amount(self, row: SellingPrice) -> str:
        return _words(row.price)

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.model_page)
        return [path("model/<int:pk>/", view, name="pricing_price_history"), *super().get_urls()]

    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        """A price's own address leads to the history that it is a part of."""
        row = self.get_object(request, object_id or "")
        if row is None:
            raise Http404
        return HttpResponseRedirect(_page(row.model_id))

    def model_page(self, request: HttpRequest, pk: int) -> HttpResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        model = get_object_or_404(AIModel.objects.select_related("provider"), pk=pk)
        periods = periods_of(model)
        context = {
            "title": f"Price history of {model.name}",
            "row": model,
            "plot": plot(periods, now=timezone.now()),
            "periods": [_cells(period) for period in periods[:_ROWS]],
            "hidden": max(0, len(periods) - _ROWS),
            "opts": self.opts,
            **self.admin_site.each_context(request),
        }
        return TemplateResponse(request, "admin/pricing/history/page.html", context)


def _cells(period: Period) -> dict[str, Any]:
    return {
        "starts_at": period.starts_at,
        "ends_at": period.ends_at,
        "price": _words(period.price),
        "state": period.price["state"],
        "unit_cost": period.unit_cost,
        "default_cost": "" if period.default_cost is None else format_usd(period.default_cost),
        "reason": period.reason,
    }


def _words(price: dict[str, Any]) -> str:
    if price["amount"] is None:
        return "depends on the input" if price["state"] != "unknown" else "unknown"
    return f"{price['amount']} USD per {price['unit'] or '(no unit)'}"


def _page(model_key: int) -> str:
    return reverse("admin:pricing_price_history", args=[model_key])
