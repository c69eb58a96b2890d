"""The counts of refused requests behind the numbers of a report."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest

from catalog.models import AIModel
from genfeed.clients.models import Client
from genfeed.journal.pages import ReadOnlyAdmin
from pricing.admin.addresses import models_at
from pricing.admin.linked import Linked, day_of
from pricing.models import Refusal

Kind = Refusal.Kind


class FromFilter(Linked):
    title, parameter_name = "first day (UTC)", "from"

    def condition(self, value: str) -> Q | None:
        day = day_of(value)
        return None if day is None else Q(day__gte=day)


class ToFilter(Linked):
    title, parameter_name = "last day (UTC)", "to"

    def condition(self, value: str) -> Q | None:
        day = day_of(value)
        return None if day is None else Q(day__lte=day)


class ModelFilter(Linked):
    title, parameter_name = "model", "of_model"

    def condition(self, value: str) -> Q | None:
        return Q(kind=Kind.MODEL, key__in=models_at(value).values("pk"))


class ClientFilter(Linked):
    title, parameter_name = "client", "of_client"

    def condition(self, value: str) -> Q | None:
        if value == "-":
            return Q(kind=Kind.MODEL, client_key=0)
        clients = Client.objects.filter(name=value).values("pk")
        return Q(kind=Kind.MODEL, client_key__in=clients) | Q(kind=Kind.CLIENT, key__in=clients)


class CategoryFilter(Linked):
    title, parameter_name = "category", "category"

    def condition(self, value: str) -> Q | None:
        return Q(kind=Kind.MODEL, key__in=AIModel.objects.filter(category="" if value == "-" else value).values("pk"))


class ProviderFilter(Linked):
    title, parameter_name = "provider", "provider"

    def condition(self, value: str) -> Q | None:
        return Q(kind=Kind.MODEL, key__in=AIModel.objects.filter(provider__slug=value).values("pk"))


@admin.register(Refusal)
class RefusalAdmin(ReadOnlyAdmin):
    list_display = ["day", "refused", "asked_by", "code", "times"]
    list_display_links = None
    fields = ["day", "refused", "asked_by", "code", "times"]
    readonly_fields = ["refused", "asked_by"]
    list_filter = ["kind", "code", FromFilter, ToFilter, ModelFilter, ClientFilter, CategoryFilter, ProviderFilter]
    list_per_page = 100
    show_full_result_count = False

    @admin.display(description="model")
    def refused(self, row: Refusal) -> str:
        return self._models.get(row.key, f"no. {row.key}") if row.kind == Kind.MODEL else "any: beyond its limits"

    @admin.display(description="client")
    def asked_by(self, row: Refusal) -> str:
        key = row.client_key if row.kind == Kind.MODEL else row.key
        return self._clients.get(key, f"no. {key}") if key else "staff, or unknown"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Refusal]:
        # Keys are no foreign keys; names are few, and read once a request.
        self._models = dict(AIModel.objects.order_by().values_list("pk", "endpoint_id"))
        self._clients = dict(Client.objects.order_by().values_list("pk", "name"))
        return super().get_queryset(request)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Who sees reports sees what their numbers are of."""
        return request.user.has_perm("pricing.view_usagerecord")

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> Any:
        return super().changelist_view(request, {**(extra_context or {}), "title": "Refused requests, by day"})
