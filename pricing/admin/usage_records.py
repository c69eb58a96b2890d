"""The jobs behind every number of a report: usage records, found by what the numbers are of."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Any

from django.contrib import admin
from django.core.paginator import Paginator
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.http import HttpRequest
from django.urls import URLPattern, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from catalog.models import AIModel
from genfeed.clients.models import Client
from genfeed.journal.long_lists import LongList, NewestFirst, page_number
from genfeed.journal.pages import ReadOnlyAdmin, badge
from pricing.admin import report_pages
from pricing.admin.addresses import models_at
from pricing.admin.linked import Linked, day_of
from pricing.models import LedgerTransaction, UsageRecord
from pricing.money import format_usd
from pricing.reports.gathering import moment

_LOOKS = {"succeeded": "good", "failed": "bad", "canceled": "warn"}
_FIELD = re.compile(r"[A-Za-z0-9]+(_[A-Za-z0-9]+)*")
_SIZE = re.compile(r"(\d+)×(\d+)")
_AFTER = {"refund": "refunded", "correction": "corrected", "write_off": "written off"}


class FromFilter(Linked):
    """Narrows nothing itself: the paginator looks no further back than to this day."""

    title, parameter_name = "first day (UTC)", "from"

    def condition(self, value: str) -> Q | None:
        return None if day_of(value) is None else Q()


class ToFilter(Linked):
    title, parameter_name = "last day (UTC)", "to"

    def condition(self, value: str) -> Q | None:
        day = day_of(value)
        return None if day is None else Q(created_at__lt=moment(day + timedelta(days=1)))


class ModelFilter(Linked):
    title, parameter_name = "model", "of_model"

    def condition(self, value: str) -> Q | None:
        return Q(model__in=_keys(models_at(value)))


class ClientFilter(Linked):
    title, parameter_name = "client", "of_client"

    def condition(self, value: str) -> Q | None:
        return Q(client=None) if value == "-" else Q(client__in=_keys(Client.objects.filter(name=value)))


class CategoryFilter(Linked):
    title, parameter_name = "category", "category"

    def condition(self, value: str) -> Q | None:
        return Q(model__in=_keys(AIModel.objects.filter(category="" if value == "-" else value)))


class ProviderFilter(Linked):
    title, parameter_name = "provider", "provider"

    def condition(self, value: str) -> Q | None:
        return Q(model__in=_keys(AIModel.objects.filter(provider__slug=value)))


def _keys(rows: QuerySet[Any]) -> list[int]:
    """Looked up once: a join would look up the model or client of every record."""
    return list(rows.order_by().values_list("pk", flat=True))


class ErrorFilter(Linked):
    title, parameter_name = "error", "error"

    def condition(self, value: str) -> Q | None:
        return Q(outcome="failed", error_code="" if value == "unknown" else value)


class FeatureFilter(Linked):
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


class ComparedFilter(admin.SimpleListFilter):
    title, parameter_name = "estimate and bill", "compared"

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin) -> list[tuple[str, str]]:
        return [("yes", "both there")]

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        if self.value() != "yes":
            return queryset
        billed = Q(cost_source__in=("billing_event", "billable_units"), quoted_cost__isnull=False)
        return queryset.filter(billed, outcome="succeeded", is_cached=False)


class LaterFilter(admin.SimpleListFilter):
    title, parameter_name = "what happened later", "later"

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin) -> list[tuple[str, str]]:
        return list(_AFTER.items())

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        if self.value() not in _AFTER:
            return queryset
        # Looked up for each record that is walked past: gathering all refunds first would take longer.
        later = LedgerTransaction.objects.filter(job=OuterRef("job"), kind=self.value())
        return queryset.filter(Exists(later.order_by()))


@admin.register(UsageRecord)
class UsageRecordAdmin(ReadOnlyAdmin):
    list_display = ["ended", "linked_job", "model", "client", "state", "charged", "cost_usd", "took"]
    list_display_links = None
    list_filter = [
        "outcome", LaterFilter, ComparedFilter, "is_cached", FromFilter, ToFilter, ModelFilter, ClientFilter,
        CategoryFilter, ProviderFilter, ErrorFilter, FeatureFilter,
    ]  # fmt: skip
    list_select_related = ["model", "client"]
    list_per_page = 50
    list_max_show_all = 0
    show_full_result_count = False
    # By time only: any other order would sort the whole table.
    sortable_by = ()
    ordering = ["-created_at", "-pk"]
    show_facets = admin.ShowFacets.NEVER
    # `get_search_results` looks both ids up in their indexes.
    search_fields = ["job"]
    search_help_text = "A job's id, or the provider's id of it."
    change_list_template = "admin/pricing/usagerecord/list.html"

    @admin.display(description="ended (UTC)")
    def ended(self, row: UsageRecord) -> SafeString:
        url = reverse("admin:pricing_usagerecord_change", args=[row.pk])
        return format_html('<a href="{}">{}</a>', url, f"{row.created_at:%Y-%m-%d %H:%M:%S}")

    @admin.display(description="job, and its money")
    def linked_job(self, row: UsageRecord) -> SafeString:
        url = reverse("admin:pricing_ledgertransaction_changelist")
        return format_html('<a href="{}?q={}" class="gf-id">{}</a>', url, row.job, row.job)

    @admin.display(description="outcome")
    def state(self, row: UsageRecord) -> SafeString:
        shown = badge(row.outcome, _LOOKS[row.outcome])
        return format_html('{}<br><span class="gf-note">{}</span>', shown, row.error_code) if row.error_code else shown

    @admin.display(description="charged, USD")
    def charged(self, row: UsageRecord) -> str:
        return format_usd(row.charge)

    @admin.display(description="cost, USD")
    def cost_usd(self, row: UsageRecord) -> str:
        return format_usd(row.cost)

    @admin.display(description="seconds")
    def took(self, row: UsageRecord) -> str:
        return "from the store" if row.is_cached else "" if row.seconds is None else f"{row.seconds:.1f}"

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[UsageRecord], search_term: str
    ) -> tuple[QuerySet[UsageRecord], bool]:
        """Records by an exact id."""
        term = search_term.replace("\x00", "").strip()
        if not term:
            return queryset, False
        words = {term, term.lower()}
        found = [UsageRecord.objects.filter(job__in=words), UsageRecord.objects.filter(request_id__in=words)]
        return queryset.filter(pk__in={key for rows in found for key in _keys(rows)}), False

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[LongList]:
        return LongList

    def get_paginator(self, request: HttpRequest, queryset: Any, per_page: int, *args: Any, **more: Any) -> Paginator:
        if queryset.model is not self.model:
            # The page of a record's history asks too, for entries of another table.
            return super().get_paginator(request, queryset, per_page, *args, **more)

        def since(start: datetime) -> Q:
            return Q(created_at__gte=start)

        first, last = (day_of(request.GET.get(name, "")) for name in ("from", "to"))
        return NewestFirst(
            queryset,
            per_page,
            number=page_number(request.GET.get("p")),
            since=since,
            first=moment(first) if first else None,
            until=moment(last + timedelta(days=1)) if last else None,
        )

    def get_urls(self) -> list[URLPattern]:
        return report_pages.urls(self) + super().get_urls()
