"""API keys in the admin: made and shown once, rotated, revoked; never changed or deleted."""

from datetime import datetime, timedelta
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.safestring import SafeString

from genfeed.clients.admin.fields import ModelListField
from genfeed.clients.keys import Bounds, UnknownScopeError, check_scopes, create_key, revoke_key
from genfeed.clients.models import SCOPES, ApiKey, Client
from genfeed.clients.rotation import CannotRotateError, rotate_key
from genfeed.journal.audit import Actor
from genfeed.journal.pages import badge

# A key with it may do more than any role may: only who may do all of it hands it out.
ADMIN = "admin"
_OVERLAPS = {0: "none: it ends at once", 3600: "an hour", 86_400: "a day", 604_800: "a week", 2_592_000: "30 days"}


def state_badge(key: ApiKey) -> SafeString:
    """The state as a label; a key that has a successor says so."""
    if key.state == "active" and key.replaced_by_id:
        return badge("being replaced", "warn", "Its successor works already; it ends by itself.")
    return badge(key.state, {"active": "good", "revoked": "bad"}.get(key.state, ""))


class NewKeyForm(forms.ModelForm):
    client = forms.ModelChoiceField(Client.customers.all())
    scopes = forms.MultipleChoiceField(
        choices=[(scope, f"{scope}: {words}") for scope, words in SCOPES.items()],
        widget=forms.CheckboxSelectMultiple,
        initial=["models:read", "estimates"],
    )

    allowed_models = ModelListField(help_text="One id a line, a * at the end for anything; empty: the client's.")
    denied_models = ModelListField(help_text="One id a line. None of these, whatever is allowed.")

    # Whether whoever fills it in may give a key the scope admin.
    may_give_admin = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # A page that only shows a key has no such field.
        if "scopes" in self.fields and not self.may_give_admin:
            scopes: Any = self.fields["scopes"]
            scopes.choices = [(scope, words) for scope, words in scopes.choices if scope != ADMIN]

    class Meta:
        model = ApiKey
        fields = [
            "client", "name", "scopes", "is_test", "expires_at", "allowed_models", "denied_models", "jobs_per_minute",
            "reads_per_minute",
        ]  # fmt: skip
        help_texts = {
            "jobs_per_minute": "Empty: the client's.",
            "reads_per_minute": "Empty: the client's.",
        }

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        try:
            check_scopes(cleaned.get("scopes") or (), is_test=cleaned["is_test"])
        except UnknownScopeError as error:
            self.add_error("scopes", str(error))
        return cleaned

    def clean_expires_at(self) -> datetime | None:
        end: datetime | None = self.cleaned_data["expires_at"]
        if end is not None and end <= timezone.now():
            raise ValidationError("This moment has passed; leave it empty for a key without an end.")
        return end


class RotateForm(forms.Form):
    overlap = forms.TypedChoiceField(
        label="How long the old key goes on", choices=list(_OVERLAPS.items()), coerce=int, initial=86_400
    )


@admin.register(ApiKey)
class ApiKeyAdmin(admin.ModelAdmin):
    empty_words = "There is no key yet. Add a client first, then a key for it; the key is shown once."
    form = NewKeyForm
    list_display = ["prefix", "name", "client", "state", "is_test", "created_at", "last_used_at", "uses", "expires_at"]
    list_filter = ["is_test", "client"]
    list_select_related = ["client"]
    search_fields = ["prefix", "name", "client__name"]
    actions = ["revoke"]
    change_form_template = "admin/clients/apikey/page.html"

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        # Keys are made and revoked; what one may do is never changed behind its holder's back.
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("clients.change_apikey")

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        form: Any = super().get_form(request, obj, change=change, **kwargs)
        form.may_give_admin = request.user.is_superuser
        return form

    def save_model(self, request: HttpRequest, obj: ApiKey, form: forms.ModelForm, change: bool) -> None:
        made, text = create_key(
            obj.client,
            actor=Actor.of(request.user),
            scopes=form.cleaned_data["scopes"],
            name=obj.name,
            is_test=obj.is_test,
            expires_at=obj.expires_at,
            bounds=Bounds(obj.allowed_models, obj.denied_models, obj.jobs_per_minute, obj.reads_per_minute),
        )
        obj.pk, obj.prefix = made.pk, made.prefix
        request._new_key = text  # type: ignore[attr-defined]

    def response_add(self, request: HttpRequest, obj: ApiKey, post_url_continue: str | None = None) -> HttpResponse:
        return self._show(request, obj, request._new_key)  # type: ignore[attr-defined]

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        if obj is None:
            return super().get_fields(request, obj)
        return [
            "client", "name", "prefix", "state", "shown_scopes", "is_test", "created_at", "created_by", "last_used_at",
            "uses", "expires_at", "revoked_at", "replaced_by", "shown_allowed", "shown_denied", "jobs_per_minute",
            "reads_per_minute", "reminded_at",
        ]  # fmt: skip

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return self.get_fields(request, obj) if obj else ()

    @admin.display(description="scopes")
    def shown_scopes(self, key: ApiKey) -> str:
        return ", ".join(key.scopes)

    @admin.display(description="allowed models")
    def shown_allowed(self, key: ApiKey) -> str:
        return "\n".join(key.allowed_models) or "the client's"

    @admin.display(description="denied models")
    def shown_denied(self, key: ApiKey) -> str:
        return "\n".join(key.denied_models) or "none of its own"

    def get_urls(self) -> list[URLPattern]:
        return [
            path("<int:pk>/rotate/", self.admin_site.admin_view(self.rotate_view), name="clients_apikey_rotate"),
            path("<int:pk>/revoke/", self.admin_site.admin_view(self.revoke_view), name="clients_apikey_revoke"),
            *super().get_urls(),
        ]

    def change_view(self, request: HttpRequest, object_id: str, *args: Any, **kwargs: Any) -> HttpResponse:
        kwargs["extra_context"] = {"may_revoke": self.has_revoke_permission(request)} | (
            kwargs.get("extra_context") or {}
        )
        return super().change_view(request, object_id, *args, **kwargs)

    def rotate_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Asks for the overlap, then shows the successor."""
        key = self._key(request, pk)
        if ADMIN in key.scopes and not request.user.is_superuser:
            self.message_user(request, "Its successor would have the scope admin: ask a superuser.", messages.ERROR)
            return self._to_page(key)
        form = RotateForm(request.POST or None)
        if request.method == "POST" and form.is_valid():
            overlap = timedelta(seconds=form.cleaned_data["overlap"])
            try:
                made, text = rotate_key(key, overlap=overlap, actor=Actor.of(request.user))
            except CannotRotateError as error:
                self.message_user(request, str(error), messages.ERROR)
                return self._to_page(key)
            return self._show(request, made, text)
        return self._ask(request, key, "Rotate", form)

    def revoke_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Asks once more, then revokes."""
        key = self._key(request, pk)
        if request.method == "POST":
            if revoke_key(key, actor=Actor.of(request.user)):
                words = f"The key {key} is revoked; it is refused everywhere within 2 seconds."
                self.message_user(request, words, messages.SUCCESS)
            return HttpResponseRedirect(reverse("admin:clients_client_change", args=[key.client_id]))
        return self._ask(request, key, "Revoke")

    def _key(self, request: HttpRequest, pk: int) -> ApiKey:
        if not self.has_revoke_permission(request):
            raise PermissionDenied
        return get_object_or_404(ApiKey.objects.select_related("client"), pk=pk)

    def _to_page(self, key: ApiKey) -> HttpResponse:
        return HttpResponseRedirect(reverse("admin:clients_apikey_change", args=[key.pk]))

    def _ask(self, request: HttpRequest, key: ApiKey, what: str, form: forms.Form | None = None) -> HttpResponse:
        context = {"title": f"{what} {key}", "key": key, "what": what, "form": form, "opts": self.opts}
        context |= self.admin_site.each_context(request)
        return TemplateResponse(request, "admin/clients/apikey/ask.html", context)

    def _show(self, request: HttpRequest, key: ApiKey, text: str) -> HttpResponse:
        """Shows the key in this one answer: a message would store it in a cookie or the session."""
        context = {
            "title": "Your new API key",
            "key": key,
            "text": text,
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
