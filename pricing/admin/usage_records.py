"""The jobs behind every number of a report: usage records, found by what the numbers are of."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.urls import URLPattern, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from genfeed.journal.pages import ReadOnlyAdmin, badge
from pricing.admin import report_pages
from pricing.models import LedgerTransaction, UsageRecord
from pricing.money import format_usd
from pricing.reports.gathering import moment
from pricing.usage.days import BadDayError, read_day

_LOOKS = {"succeeded": "good", "failed": "bad", "canceled": "warn"}
_FIELD = re.compile(r"[A-Za-z0-9]+(_[A-Za-z0-9]+)*")
_SIZE = re.compile(r"(\d+)×(\d+)")
_AFTER = {"refund": "refunded", "correction": "corrected", "write_off": "written off"}


class _Linked(admin.SimpleListFilter):
    """A filter whose value comes with the link of a number; it shows what it is, and takes it away again."""

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin) -> list[tuple[str, str]]:
        asked = request.GET.get(str(self.parameter_name), "")
        return [(asked, asked)] if asked else [("-", "(none)")]

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        value = self.value()
        if value is None:
            return queryset
        condition = None if "\x00" in value else self.condition(value)
        return queryset.none() if condition is None else queryset.filter(condition)

    def condition(self, value: str) -> Q | None:
        raise NotImplementedError


class FromFilter(_Linked):
    title, parameter_name = "first day (UTC)", "from"

    def condition(self, value: str) -> Q | None:
        try:
            return Q(created_at__gte=moment(read_day(value)))
        except BadDayError:
            return None


class ToFilter(_Linked):
    title, parameter_name = "last day (UTC)", "to"

    def condition(self, value: str) -> Q | None:
        try:
            return Q(created_at__lt=moment(read_day(value) + timedelta(days=1)))
        except BadDayError:
            return None


class ModelFilter(_Linked):
    title, parameter_name = "model", "of_model"

    def condition(self, value: str) -> Q | None:
        return Q(model__endpoint_id=value)


class ClientFilter(_Linked):
    title, parameter_name = "client", "of_client"

    def condition(self, value: str) -> Q | None:
        return Q(client=None) if value == "-" else Q(client__name=value)


class CategoryFilter(_Linked):
    title, parameter_name = "category", "category"

    def condition(self, value: str) -> Q | None:
        return Q(model__category="" if value == "-" else value)


class ProviderFilter(_Linked):
    title, parameter_name = "provider", "provider"

    def condition(self, value: str) -> Q | None:
        return Q(model__provider__slug=value)


class ErrorFilter(_Linked):
    title, parameter_name = "error", "error"

    def condition(self, value: str) -> Q | None:
        return Q(outcome="failed", error_code="" if value == "unknown" else value)


class FeatureFilter(_Linked):
    title, parameter_name = "feature", "feature"

    def condition(self, value: str) -> Q | None:
        name, separator, text = value.partition("=")
        if not _FIELD.fullmatch(name):
            return None
        if not separator:
            return Q(**{f"features__{name}": True})
        if size := _SIZE.fullmatch(text):
            return Q(**{f"features__{name}__width": int(size[1]), f"features__{name}__height": int(size[2])})
        condition = Q(**{f"features__{name}": text})
        for read in (int, float):
            try:
                condition |= Q(**{f"features__{name}": read(text)})
            except ValueError:
                continue
        return condition


class LaterFilter(admin.SimpleListFilter):
    title, parameter_name = "what happened later", "later"

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin) -> list[tuple[str, str]]:
        return list(_AFTER.items())

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        if self.value() not in _AFTER:
            return queryset
        return queryset.filter(job__in=LedgerTransaction.objects.filter(kind=self.value()).values("job"))


@admin.register(UsageRecord)
class UsageRecordAdmin(ReadOnlyAdmin):
    list_display = ["ended", "linked_job", "model", "client", "state", "charged", "cost_usd", "took"]
    list_display_links = None
    list_filter = [
        "outcome", LaterFilter, "is_cached", FromFilter, ToFilter, ModelFilter, ClientFilter, CategoryFilter,
        ProviderFilter, ErrorFilter, FeatureFilter,
    ]  # fmt: skip
    list_select_related = ["model", "client"]
    list_per_page = 50
    show_full_result_count = False
    search_fields = ["=job", "=request_id"]
    search_help_text = "A job's id, or the provider's id of it."
    change_list_template = "admin/pricing/usagerecord/list.html"

    @admin.display(description="ended (UTC)", ordering="created_at")
    def ended(self, row: UsageRecord) -> SafeString:
        url = reverse("admin:pricing_usagerecord_change", args=[row.pk])
        return format_html('<a href="{}">{}</a>', url, f"{row.created_at:%Y-%m-%d %H:%M:%S}")

    @admin.display(description="job, and its money")
    def linked_job(self, row: UsageRecord) -> SafeString:
        url = reverse("admin:pricing_ledgertransaction_changelist")
        return format_html('<a href="{}?q={}" class="gf-id">{}</a>', url, row.job, row.job)

    @admin.display(description="outcome", ordering="outcome")
    def state(self, row: UsageRecord) -> SafeString:
        shown = badge(row.outcome, _LOOKS[row.outcome])
        return format_html('{}<br><span class="gf-note">{}</span>', shown, row.error_code) if row.error_code else shown

    @admin.display(description="charged, USD", ordering="charge")
    def charged(self, row: UsageRecord) -> str:
        return format_usd(row.charge)

    @admin.display(description="cost, USD", ordering="cost")
    def cost_usd(self, row: UsageRecord) -> str:
        return format_usd(row.cost)

    @admin.display(description="seconds", ordering="seconds")
    def took(self, row: UsageRecord) -> str:
        return "from the store" if row.is_cached else "" if row.seconds is None else f"{row.seconds:.1f}"

    def get_urls(self) -> list[URLPattern]:
        return report_pages.urls(self) + super().get_urls()

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> Any:
        return super().changelist_view(request, {"title": "Usage records", **(extra_context or {})})
