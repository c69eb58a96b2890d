"""Clients in the admin: who they are, what bounds them, and their keys."""

from datetime import timedelta
from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone

from genfeed.clients.admin.fields import ModelListField, TimezoneInput
from genfeed.clients.admin.keys import state_badge
from genfeed.clients.models import ApiKey, Client

_ENDED_KEYS_SHOWN = timedelta(days=30)
_KEYS_SHOWN = 200


class ClientForm(forms.ModelForm):
    timezone = forms.CharField(
        required=False, initial="UTC", widget=TimezoneInput, help_text=Client._meta.get_field("timezone").help_text
    )
    allowed_models = ModelListField(
        help_text="One id a line, e.g. fal-ai/flux/dev or fal:fal-ai/flux/*; empty: all models."
    )
    denied_models = ModelListField(help_text="One id a line. None of these, whatever is allowed.")

    class Meta:
        model = Client
        fields = [
            "name", "is_active", "email", "timezone", "allowed_models", "denied_models", "jobs_per_minute",
            "reads_per_minute", "max_in_flight", "max_queued", "max_open_in_batches",
            "enable_caching", "withholds_nsfw",
        ]  # fmt: skip

    def clean_timezone(self) -> str:
        return self.cleaned_data["timezone"] or "UTC"


@admin.register(Client)
class ClientAdmin(admin.ModelAdmin):
    empty_words = "There is no client yet. Add one, give it a key, and top its account up."
    form = ClientForm
    fieldsets = [
        (None, {"fields": ["name", "is_active", "email", "timezone"]}),
        ("Models", {"fields": ["allowed_models", "denied_models"]}),
        ("Results", {"fields": ["enable_caching", "withholds_nsfw"]}),
        (
            "Limits",
            {
                "fields": ["jobs_per_minute", "reads_per_minute", "max_in_flight", "max_queued", "max_open_in_batches"],
                "description": "Empty: what the settings say.",
            },
        ),
    ]
    list_display = ["name", "is_active", "email", "created_at"]
    list_filter = ["is_active"]
    search_fields = ["name", "email"]
    change_form_template = "admin/clients/client/page.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Client]:
        # Their test sides follow them.
        return super().get_queryset(request).filter(test_of=None)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        # What a client did stays on record; an inactive client's keys are refused.
        return False

    def change_view(self, request: HttpRequest, object_id: str, *args: Any, **kwargs: Any) -> HttpResponse:
        """With the client's keys below the form, for those who may see keys. A test side leads to its client."""
        side = Client.objects.filter(pk=object_id, test_of__isnull=False).first() if object_id.isdecimal() else None
        if side is not None:
            return HttpResponseRedirect(reverse("admin:clients_client_change", args=[side.test_of_id]))
        context: dict[str, Any] = kwargs.get("extra_context") or {}
        if request.user.has_perm("clients.view_apikey") and object_id.isdecimal():
            context |= {
                "keys": [(key, state_badge(key)) for key in _shown_keys(int(object_id))],
                "may_revoke": request.user.has_perm("clients.change_apikey"),
            }
        return super().change_view(request, object_id, *args, **kwargs | {"extra_context": context})


def _shown_keys(client_id: int) -> QuerySet[ApiKey]:
    """The client's keys, the newest first, without those that ended a while ago."""
    since = timezone.now() - _ENDED_KEYS_SHOWN
    return ApiKey.objects.filter(
        Q(revoked_at=None) | Q(revoked_at__gt=since), Q(expires_at=None) | Q(expires_at__gt=since), client_id=client_id
    )[:_KEYS_SHOWN]
