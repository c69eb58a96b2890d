"""Every change that a person makes through the admin is in the audit, whatever model it is of."""

from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any

from django.contrib import admin
from django.db import models, transaction
from django.forms import ModelForm
from django.http import HttpRequest
from django.utils.text import capfirst

from genfeed.journal.audit import Actor, Change, record

_SECRET_WORDS = ("password", "secret", "token", "key")


class AuditedAdmin(admin.ModelAdmin):
    """Mixed into every registered admin class by GenFeedAdminSite: audits additions, changes and deletions.

    And calls a list by what is in it, where Django's heading says what one might do with it; one without anything says
    how something gets there (`empty_words` of the admin class).
    """

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        own = {"title": capfirst(str(self.opts.verbose_name_plural)), "empty_words": getattr(self, "empty_words", "")}
        return super().changelist_view(request, own | (extra_context or {}))

    def log_addition(self, request: HttpRequest, obj: models.Model, message: Any) -> Any:
        record(f"{obj._meta.model_name}.added", [Change(obj)], actor=Actor.of(request.user))
        return super().log_addition(request, obj, message)

    def log_change(self, request: HttpRequest, obj: models.Model, message: Any) -> Any:
        before, after = getattr(request, "_audit_values", ({}, {}))
        record(f"{obj._meta.model_name}.changed", [Change(obj, before, after)], actor=Actor.of(request.user))
        return super().log_change(request, obj, message)

    def log_deletions(self, request: HttpRequest, queryset: Iterable[models.Model]) -> Any:
        gone = list(queryset)
        if gone:
            action = f"{gone[0]._meta.model_name}.deleted"
            record(action, [Change(obj) for obj in gone], actor=Actor.of(request.user))
        return super().log_deletions(request, queryset)  # type: ignore[arg-type]

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest) -> bool:
        """Narrows a list by what its filters offer, and by nothing else.

        Django takes any column in the address: whoever may see a list, but not what is in it, could ask for it by
        beginnings, letter by letter.
        """
        offered = {_parameter(one) for one in self.get_list_filter(request)} | {self.date_hierarchy}
        is_offered = any(lookup == name or lookup.startswith(f"{name}__") for name in offered if name)
        return is_offered and super().lookup_allowed(lookup, value, request)

    def save_form(self, request: HttpRequest, form: ModelForm, change: bool) -> Any:
        # Kept until log_change: afterwards the form's initial values are gone.
        request._audit_values = _values(form)  # type: ignore[attr-defined]
        return super().save_form(request, form, change)


def _parameter(of_filter: Any) -> str:
    """What an entry of `list_filter` has in the address: a column, or a name of its own."""
    if isinstance(of_filter, list | tuple):
        return str(of_filter[0])
    return str(getattr(of_filter, "parameter_name", of_filter))


def audited_action(action: Callable[..., Any]) -> Callable[..., Any]:
    """An admin action of a package, which knows nothing of the audit, with an event for each row it is run on."""

    @wraps(action)
    def run(model_admin: admin.ModelAdmin, request: HttpRequest, queryset: models.QuerySet) -> Any:
        name = f"{queryset.model._meta.model_name}.{action.__name__}"
        with transaction.atomic():
            # Before the action: what it deletes has no id any more.
            record(name, [Change(row) for row in queryset], actor=Actor.of(request.user))
            return action(model_admin, request, queryset)

    return run


def _values(form: ModelForm) -> tuple[dict[str, str], dict[str, str]]:
    before, after = {}, {}
    for name in form.changed_data:
        if any(word in name for word in _SECRET_WORDS):
            before[name] = after[name] = "(hidden)"
        else:
            before[name] = _readable(form.initial.get(name))
            after[name] = _readable(form.cleaned_data.get(name))
    return before, after


def _readable(value: Any) -> str:
    if isinstance(value, models.QuerySet | list):
        return ", ".join(sorted(str(item) for item in value))
    return "" if value is None else str(value)[:500]
