"""List filters with counts: one grouped query for the choices and counts of all of them."""

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.db.models import Count, QuerySet
from django.http import HttpRequest
from django.utils.encoding import force_str

from catalog.availability import HELD_WORDS
from catalog.models import AIModel

if TYPE_CHECKING:
    from django.contrib.admin.filters import _ListFilterChoices

_GROUPED = ("provider__slug", "category", "media_type", "status", "enabled", "held_reason")


class ColumnFilter(admin.SimpleListFilter):
    """A filter on one column that shares its counts with its siblings.

    Django asks the database once a filter for counts, and once more for choices; six filters of one list would be a
    dozen queries. Here all rows are grouped by all six columns at once (some hundred groups) and added up in Python.
    """

    column = ""

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin) -> list[tuple[str, str]]:
        self._groups = _groups(request, model_admin)
        self._request = request
        position = _GROUPED.index(self.column)
        values = sorted({_text(group[position]) for group, _ in self._groups})
        return [(value or "-", self.label(value)) for value in values]

    def label(self, value: str) -> str:
        return value or "(none)"

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        value = self.value()
        if value is None:
            return queryset
        if value not in dict(self.lookup_choices):
            # Not for the database: no row has it, and PostgreSQL refuses text with a null character.
            return queryset.none()
        return queryset.filter(**{self.column: _stored(self.column, "" if value == "-" else value)})

    def choices(self, changelist: ChangeList) -> Iterator["_ListFilterChoices"]:
        counts = self._counts(changelist)
        yield {
            "selected": self.value() is None,
            "query_string": changelist.get_query_string(remove=[str(self.parameter_name)]),
            "display": f"All ({sum(counts.values())})",
        }
        for lookup, title in self.lookup_choices:
            value = "" if lookup == "-" else lookup
            yield {
                "selected": self.value() == force_str(lookup),
                "query_string": changelist.get_query_string({str(self.parameter_name): lookup}),
                "display": f"{title} ({counts[value]})",
            }

    def _counts(self, changelist: ChangeList) -> Counter[str]:
        """Rows by this column's value that the other filters let through."""
        others = [
            (_GROUPED.index(spec.column), "" if spec.value() == "-" else spec.value())
            for spec in changelist.filter_specs
            if isinstance(spec, ColumnFilter) and spec is not self and spec.value() is not None
        ]
        own = _GROUPED.index(self.column)
        counts: Counter[str] = Counter()
        for group, n in self._groups:
            if all(_text(group[position]) == value for position, value in others):
                counts[_text(group[own])] += n
        return counts


def _groups(request: HttpRequest, model_admin: admin.ModelAdmin) -> list[tuple[tuple[Any, ...], int]]:
    """(values of the grouped columns, number of rows), with the search applied; read once a request."""
    if not hasattr(request, "_catalog_groups"):
        queryset = AIModel.objects.order_by()
        # The list ignores a search with a null character too.
        words = "" if "\x00" in request.GET.get("q", "") else request.GET.get("q", "")
        queryset, _ = model_admin.get_search_results(request, queryset, words)
        rows = queryset.values_list(*_GROUPED).annotate(n=Count("pk"))
        request._catalog_groups = [(row[:-1], row[-1]) for row in rows]  # type: ignore[attr-defined]
    return request._catalog_groups  # type: ignore[attr-defined]


def _text(value: Any) -> str:
    return ("yes" if value else "no") if isinstance(value, bool) else str(value)


def _stored(column: str, value: str) -> Any:
    return value == "yes" if column == "enabled" else value


def _filter(column_name: str, heading: str, parameter: str) -> type[ColumnFilter]:
    class Filter(ColumnFilter):
        column = column_name
        title = heading
        parameter_name = parameter

    return Filter


class HeldFilter(ColumnFilter):
    column = "held_reason"
    title = "held because"
    parameter_name = "held"

    def label(self, value: str) -> str:
        return value.replace("_", " ") if value in HELD_WORDS else (value or "(not held)")


class ProviderFilter(ColumnFilter):
    column = "provider__slug"
    title = "provider"
    parameter_name = "provider"


MODEL_FILTERS = (
    _filter("enabled", "enabled", "enabled"),
    HeldFilter,
    _filter("media_type", "media type", "media_type"),
    _filter("category", "category", "category"),
    _filter("status", "status", "status"),
    ProviderFilter,
)
