"""Filters of lists that the numbers of reports link to."""

from __future__ import annotations

from abc import ABC, abstractmethod
from datetime import date

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest

from pricing.usage.days import BadDayError, read_day


class Linked(ABC, admin.SimpleListFilter):
    """A filter whose value comes with the link of a number: it shows what it is, takes it away, and else is hidden."""

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin) -> list[tuple[str, str]]:
        asked = request.GET.get(str(self.parameter_name), "")
        return [(asked, asked)] if asked else []

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        value = self.value()
        if value is None:
            return queryset
        condition = None if "\x00" in value else self.condition(value)
        return queryset.none() if condition is None else queryset.filter(condition)

    @abstractmethod
    def condition(self, value: str) -> Q | None:
        """The rows that a value names, None for a value that names none."""


def day_of(text: str) -> date | None:
    """A day as an address names it; None where it is none."""
    try:
        return read_day(text)
    except BadDayError:
        return None
