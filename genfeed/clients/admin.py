"""Clients and their API keys in the admin."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from genfeed.clients.keys import create_key, revoke_key
from genfeed.clients.models import SCOPES, ApiKey, Client
from genfeed.journal.audit import Actor


@admin.register(Client)
class ClientAdmin(admin.ModelAdmin):
    fields = ["name", "is_active"]
    list_display = ["name", "is_active", "created_at"]
    list_filter = ["is_active"]
    search_fields = ["name"]

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        # What a client did stays on record; an inactive client's keys are refused.
        return False


class NewKeyForm(forms.ModelForm):
    scopes = forms.MultipleChoiceField(
        choices=[(scope, f"{scope}: {words}") for scope, words in SCOPES.items()],
        widget=forms.CheckboxSelectMultiple,
        initial=["models:read", "estimates"],
    )

    class Meta:
        model = ApiKey
        fields = ["client", "name", "scopes", "is_test", "expires_at"]


@admin.register(ApiKey)
class ApiKeyAdmin(admin.ModelAdmin):
    form = NewKeyForm
    list_display = ["prefix", "name", "client", "state", "is_test", "created_at", "last_used_at", "expires_at"]
    list_filter = ["is_test", "client"]
    list_select_related = ["client"]
    search_fields = ["prefix", "name", "client__name"]
    actions = ["revoke"]

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        # Keys are made and revoked; what one may do is never changed behind its holder's back.
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("clients.change_apikey")

    def save_model(self, request: HttpRequest, obj: ApiKey, form: forms.ModelForm, change: bool) -> None:
        made, text = create_key(
            obj.client,
            actor=Actor.of(request.user),
            scopes=form.cleaned_data["scopes"],
            name=obj.name,
            is_test=obj.is_test,
            expires_at=obj.expires_at,
        )
        obj.pk, obj.prefix = made.pk, made.prefix
        request._new_key = text  # type: ignore[attr-defined]

    def response_add(self, request: HttpRequest, obj: ApiKey, post_url_continue: str | None = None) -> HttpResponse:
        """Shows the key in this one answer: a message would store it in a cookie or the session."""
        context = {
            "title": "Your new API key",
            "key": obj,
            "text": request._new_key,  # type: ignore[attr-defined]
            "opts": self.opts,
            **self.admin_site.each_context(request),
        }
        response = TemplateResponse(request, "admin/clients/apikey/made.html", context)
        response.headers["Cache-Control"] = "no-store"
        return response

    @admin.action(description="Revoke selected keys", permissions=["revoke"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[ApiKey]) -> None:
        actor = Actor.of(request.user)
        done = sum(revoke_key(key, actor=actor) for key in queryset)
        self.message_user(request, f"{done} revoked; they are refused everywhere within 2 seconds.", messages.SUCCESS)
