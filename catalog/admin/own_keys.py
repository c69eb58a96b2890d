"""Clients' own provider keys in the admin, in core mode: set, checked, removed; the key itself is never shown."""

from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.safestring import SafeString

from catalog.own_keys import check_again, check_new
from catalog.providers import queue
from catalog.providers.base import KeyCheck
from genfeed.clients.errors import ApiError
from genfeed.clients.models import ProviderKey
from genfeed.clients.provider_keys import drop_key, keep_key
from genfeed.journal.audit import Actor
from genfeed.journal.pages import badge

_LOOKS = {"valid": "good", "invalid": "bad", "exhausted": "bad", "unchecked": "warn"}
# All in one request of a person, who waits for each.
_MOST_CHECKS = 5


class OwnKeyForm(forms.ModelForm):
    # What a check before the transaction brought: a state and a sentence, or an error.
    checked: KeyCheck | ApiError | None = None

    provider = forms.ChoiceField(choices=lambda: [(slug, slug) for slug in queue.runnable()])
    key = forms.CharField(
        max_length=600,
        widget=forms.PasswordInput(attrs={"autocomplete": "off", "size": 60}),
        help_text="As the provider gives it. It is checked, encrypted and never shown again; one that is set already "
        "for this client and provider is replaced.",
    )

    class Meta:
        model = ProviderKey
        fields = ["client", "provider"]

    def clean_key(self) -> str:
        if isinstance(self.checked, ApiError):
            raise ValidationError(self.checked.message.removeprefix("key: "))
        return str(self.cleaned_data["key"])

    def validate_unique(self) -> None:
        """One that is there is replaced."""


@admin.register(ProviderKey)
class OwnKeyAdmin(admin.ModelAdmin):
    empty_words = "No client has a provider key of its own: jobs run on the installation's. Add one for a client."
    form = OwnKeyForm
    list_display = ["client", "provider", "ends_in", "shown_state", "detail", "checked_at", "set_at", "set_by"]
    list_filter = ["provider", "state"]
    list_select_related = ["client"]
    search_fields = ["client__name"]
    autocomplete_fields = ["client"]
    actions = ["check_keys"]

    def has_module_permission(self, request: HttpRequest) -> bool:
        return settings.GENFEED_MODE == "core" and super().has_module_permission(request)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return settings.GENFEED_MODE == "core" and super().has_add_permission(request)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        # Another key is set by adding it again.
        return False

    @admin.display(description="key")
    def ends_in(self, row: ProviderKey) -> str:
        return f"…{row.hint}" if row.hint else "a short one"

    @admin.display(description="state")
    def shown_state(self, row: ProviderKey) -> SafeString:
        return badge(row.get_state_display(), _LOOKS[row.state], row.detail)

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        if obj is None:
            return ["client", "provider", "key"]
        return ["client", "provider", "ends_in", "shown_state", "detail", "checked_at", "set_at", "set_by"]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return self.get_fields(request, obj) if obj else ()

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        form = super().get_form(request, obj, change=change, **kwargs)
        form.checked = getattr(request, "_checked", None)  # type: ignore[attr-defined]
        return form

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        """Asks the provider before Django opens its transaction, in which nobody is asked."""
        if request.method == "POST" and self.has_add_permission(request) and request.POST.get("key"):
            try:
                checked: Any = check_new(request.POST.get("provider", ""), request.POST["key"])
            except ApiError as error:
                checked = error
            request._checked = checked  # type: ignore[attr-defined]
        return super().add_view(request, form_url, extra_context)

    def save_model(self, request: HttpRequest, obj: ProviderKey, form: forms.ModelForm, change: bool) -> None:
        checked: KeyCheck = request._checked  # type: ignore[attr-defined]
        kept = keep_key(
            obj.client,
            obj.provider,
            form.cleaned_data["key"],
            state=checked.state,
            detail=checked.detail,
            actor=Actor.of(request.user),
        )
        obj.pk, obj.hint = kept.pk, kept.hint
        level = messages.SUCCESS if checked.state == ProviderKey.State.VALID else messages.WARNING
        self.message_user(request, checked.detail, level)

    def delete_model(self, request: HttpRequest, obj: ProviderKey) -> None:
        drop_key(obj, actor=Actor.of(request.user))

    @admin.action(description="Check selected keys", permissions=["view"])
    def check_keys(self, request: HttpRequest, queryset: QuerySet[ProviderKey]) -> None:
        if queryset.count() > _MOST_CHECKS:
            words = f"Select up to {_MOST_CHECKS} keys: each is a request to its provider, which this page waits for."
            self.message_user(request, words, messages.ERROR)
            return
        for row in queryset:
            done = check_again(row)
            level = messages.SUCCESS if done.state == ProviderKey.State.VALID else messages.WARNING
            self.message_user(request, f"{done}: {done.detail}", level)
