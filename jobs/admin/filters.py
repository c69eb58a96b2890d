"""Narrowing the list of jobs: by typed words and days, each answered by an index, however long the list is."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

from django.contrib import admin
from django.core.paginator import Page, Paginator
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.functional import cached_property

from catalog.models import AIModel
from genfeed.clients.models import Client
from genfeed.journal.long_lists import newest
from jobs.ids import first_id, first_id_at
from jobs.models import IN_FLIGHT, OPEN, Status
from jobs.testmode.mode import TEST

MOST_COUNTED = 10_000
_MOST_NAMED = 500
# So many are sorted sooner than the newest of them are looked for.
_FEW = 1000


class BoundedPaginator(Paginator):
    """Counts to MOST_COUNTED and no further: a list of a million jobs opens as fast as one of a hundred."""

    @cached_property
    def count(self) -> int:
        return self.object_list.order_by()[:MOST_COUNTED].count()  # type: ignore[attr-defined]

    def page(self, number: int | str) -> Page:
        """The jobs of a page, found by their ids, which are by time."""
        if self.count <= _FEW:
            return super().page(number)
        number = self.validate_number(number)
        jobs: Any = self.object_list
        bottom = (number - 1) * self.per_page
        keys = newest(jobs, bottom + self.per_page, since=_since)[bottom:]
        return Page(jobs.filter(pk__in=keys), number, self)


def _since(moment: datetime) -> Q:
    return Q(pk__gte=first_id_at("job", moment))


class TypedFilter(admin.SimpleListFilter):
    """A filter whose value is typed."""

    template = "admin/jobs/job/typed_filter.html"
    kind = "text"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        # One is needed for the filter to be shown; the template shows a field instead.
        return [("", "")]

    def choices(self, changelist: Any) -> Any:
        kept = [(name, value) for name, value in changelist.get_filters_params().items() if name != self.parameter_name]
        kept += [("q", changelist.query)] if changelist.query else []
        yield {
            "kept": [(name, one) for name, values in kept for one in _listed(values)],
            "name": self.parameter_name,
            "value": self.value() or "",
            "kind": self.kind,
            "without": changelist.get_query_string(remove=[self.parameter_name]),
        }


class ClientFilter(TypedFilter):
    title = "client"
    parameter_name = "client"

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        name = _typed(self.value())
        if not name:
            return queryset
        found = Client.objects.filter(name__icontains=name).values_list("pk", flat=True)[:_MOST_NAMED]
        return queryset.filter(client_id__in=list(found))


class ModelFilter(TypedFilter):
    title = "model"
    parameter_name = "model"

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        name = _typed(self.value())
        if not name:
            return queryset
        found = AIModel.objects.filter(endpoint_id__icontains=name).values_list("pk", flat=True)[:_MOST_NAMED]
        return queryset.filter(model_id__in=list(found))


class DayFilter(TypedFilter):
    """A day in UTC. Ids begin with the time, so the day is a range of ids."""

    title = "day (UTC)"
    parameter_name = "day"
    kind = "date"

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        try:
            day = date.fromisoformat(_typed(self.value()))
            return queryset.filter(pk__gte=first_id("job", day), pk__lt=first_id("job", day + timedelta(days=1)))
        except (ValueError, OverflowError):
            return queryset.none() if self.value() else queryset


class StatusFilter(admin.SimpleListFilter):
    title = "status"
    parameter_name = "status"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("open", "not ended"), ("in_flight", "in flight"), *((value, value) for value in Status.values)]

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        if not self.value():
            return queryset
        several = {"open": OPEN, "in_flight": IN_FLIGHT}
        return queryset.filter(status__in=several.get(self.value() or "", [self.value()]))


class ModeFilter(admin.SimpleListFilter):
    title = "mode"
    parameter_name = "mode"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("live", "live"), ("test", "test")]

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        if self.value() == "live":
            return queryset.exclude(account=TEST)
        return queryset.filter(account=TEST) if self.value() == "test" else queryset


class QuarantineFilter(admin.SimpleListFilter):
    title = "bill"
    parameter_name = "bill"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("waits", "waits for a decision")]

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        return queryset.exclude(quarantine="") if self.value() == "waits" else queryset


class JobsOfBatchFilter(admin.SimpleListFilter):
    """Jobs of one batch; only shown where a link asks for it."""

    title = "batch"
    parameter_name = "batch"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        chosen = self.value()
        return [(chosen, chosen)] if chosen else []

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        chosen = (self.value() or "").replace("\x00", "")
        return queryset.filter(batch_id=chosen) if chosen else queryset


class JobsOfWorkflowFilter(JobsOfBatchFilter):
    """Jobs of one workflow; only shown where a link asks for it."""

    title = "workflow"
    parameter_name = "workflow"

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        chosen = (self.value() or "").replace("\x00", "")
        return queryset.filter(workflow_id=chosen) if chosen else queryset


def _typed(value: str | None) -> str:
    return (value or "").replace("\x00", "").strip()


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
