"""The list of models and the page of one."""

from typing import Any

import orjson
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.safestring import SafeString
from django.views.decorators.http import require_POST

from catalog import published
from catalog.admin.field_rows import field_rows
from catalog.admin.filters import MODEL_FILTERS
from catalog.admin.input_check import check_input
from catalog.availability import SwitchResult, switch_models
from catalog.changes.comparing import readable_diff
from catalog.defaults import drop_default, set_default
from catalog.models import AIModel, DefaultModel, SchemaVersion
from catalog.reporting import held_words
from genfeed.journal.audit import Actor
from genfeed.journal.pages import ReadOnlyAdmin, badge, posted_text


@admin.register(AIModel)
class AIModelAdmin(ReadOnlyAdmin):
    list_display = ["picture", "title", "sort", "offered", "schema"]
    list_display_links = ["title"]
    list_filter = MODEL_FILTERS
    list_select_related = ["provider"]
    search_fields = ["endpoint_id", "name", "category"]
    search_help_text = "Words in id, name or category."
    list_per_page = 50
    list_max_show_all = 0
    # The filters bring their own counts.
    show_facets = admin.ShowFacets.NEVER
    show_full_result_count = False
    ordering = ["endpoint_id"]
    actions = ["enable", "disable"]
    change_form_template = "admin/catalog/aimodel/page.html"
    change_list_template = "admin/catalog/aimodel/list.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[AIModel]:
        queryset = super().get_queryset(request)
        on_list = request.resolver_match and request.resolver_match.url_name == "catalog_aimodel_changelist"
        # The list shows none of the long columns.
        return queryset.defer("description", "metadata", "limits", "capabilities", "tags") if on_list else queryset

    # --- the list ---

    def get_list_display(self, request: HttpRequest) -> Any:
        """Who may not switch models sees no buttons that would be refused."""
        if self.has_switch_permission(request):
            return self.list_display
        return ["state" if column == "offered" else column for column in self.list_display]

    @admin.display(description="")
    def picture(self, row: AIModel) -> SafeString:
        if not _web_address(row.thumbnail_url):
            return format_html('<span class="gf-thumb gf-thumb-none" aria-hidden="true">{}</span>', row.media_type)
        return format_html(
            '<img class="gf-thumb" src="{}" alt="" loading="lazy" referrerpolicy="no-referrer" width="56" height="40">',
            row.thumbnail_url,
        )

    @admin.display(description="model", ordering="endpoint_id")
    def title(self, row: AIModel) -> SafeString:
        return format_html('{}<br><span class="gf-id">{}</span>', row.name, row.endpoint_id)

    @admin.display(description="category", ordering="category")
    def sort(self, row: AIModel) -> SafeString:
        return format_html('{}<br><span class="gf-note">{}</span>', row.category or "(none)", row.media_type)

    @admin.display(description="offered", ordering="enabled")
    def state(self, row: AIModel) -> SafeString:
        if row.enabled:
            return badge("enabled", "good")
        if row.held_reason:
            return badge(f"held: {row.held_reason.replace('_', ' ')}", "warn", held_words(row))
        return badge("disabled")

    @admin.display(description="offered", ordering="enabled")
    def offered(self, row: AIModel) -> SafeString:
        """The state, and the switch: a button of the list's own form, which carries the CSRF token."""
        word = "Disable" if row.enabled else "Enable"
        return format_html(
            '{}<button type="submit" class="gf-button" formmethod="post" formaction="{}" name="on" value="{}" '
            'aria-label="{} {}">{}</button>',
            self.state(row),
            reverse("admin:catalog_aimodel_toggle", args=[row.pk]),
            "0" if row.enabled else "1",
            word,
            row.endpoint_id,
            word,
        )

    @admin.display(description="schema", ordering="schema_state")
    def schema(self, row: AIModel) -> str:
        if row.schema_state == AIModel.SchemaState.UNDERSTOOD:
            return f"v{row.schema_version}"
        version = f"v{row.schema_version}, " if row.schema_version else ""
        return f"{version}{row.get_schema_state_display()}"

    @admin.action(description="Enable selected models", permissions=["switch"])
    def enable(self, request: HttpRequest, queryset: QuerySet[AIModel]) -> None:
        self._switch(request, queryset, on=True)

    @admin.action(description="Disable selected models", permissions=["switch"])
    def disable(self, request: HttpRequest, queryset: QuerySet[AIModel]) -> None:
        self._switch(request, queryset, on=False)

    def has_switch_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("catalog.switch_aimodel")

    def _switch(self, request: HttpRequest, queryset: QuerySet[AIModel], *, on: bool) -> None:
        result = switch_models(queryset, on=on, actor=Actor.of(request.user))
        published.forget()
        _tell(self, request, result, on=on)

    # --- the page of one model ---

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        own = [
            path("<int:pk>/toggle/", view(require_POST(self.toggle)), name="catalog_aimodel_toggle"),
            path("<int:pk>/default/", view(require_POST(self.default)), name="catalog_aimodel_default"),
            path("<int:pk>/schema/<int:number>/", view(self.raw_schema), name="catalog_aimodel_schema"),
        ]
        return own + super().get_urls()

    def toggle(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Switches one model, and returns to where the button was."""
        if not self.has_switch_permission(request):
            raise PermissionDenied
        on = request.POST.get("on") == "1"
        self._switch(request, AIModel.objects.filter(pk=get_object_or_404(AIModel, pk=pk).pk), on=on)
        back = request.META.get("HTTP_REFERER", "")
        if not url_has_allowed_host_and_scheme(back, {request.get_host()}, require_https=request.is_secure()):
            back = reverse("admin:catalog_aimodel_change", args=[pk])
        return HttpResponseRedirect(back)

    def default(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Makes a model the default of its category, or no longer."""
        if not self.has_switch_permission(request):
            raise PermissionDenied
        row, actor = get_object_or_404(AIModel.objects.select_related("provider"), pk=pk), Actor.of(request.user)
        if request.POST.get("on") == "1":
            set_default(row, actor=actor, reason=posted_text(request))
            self.message_user(request, f"Requests for default:{row.category} are run by {row} now.", messages.SUCCESS)
        else:
            drop_default(row, actor=actor, reason=posted_text(request))
            self.message_user(request, f"{row} is the default of no category.", messages.SUCCESS)
        published.forget()
        return HttpResponseRedirect(reverse("admin:catalog_aimodel_change", args=[pk]))

    def raw_schema(self, request: HttpRequest, pk: int, number: int) -> HttpResponse:
        """The provider's own document of one version, verbatim."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        version = get_object_or_404(SchemaVersion, model_id=pk, number=number)
        body = orjson.dumps(version.unpacked["document"], option=orjson.OPT_INDENT_2)
        return HttpResponse(body, content_type="application/json; charset=utf-8")

    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        """Shows a model. A POST with `input` checks that input against the schema and shows what is wrong with it."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        row = self.get_object(request, object_id or "")
        if row is None:
            raise Http404
        versions = list(SchemaVersion.objects.filter(model=row).select_related("sync_run"))
        current = next((version for version in versions if version.number == row.schema_version), None)
        content = current.unpacked if current else {}
        shown = [(version, readable_diff(version.changes)) for version in versions]
        context = {
            "title": row.name,
            "row": row,
            "thumbnail_url": _web_address(row.thumbnail_url),
            "held_words": held_words(row),
            "may_switch": self.has_switch_permission(request),
            "default_of": list(DefaultModel.objects.filter(model=row).values_list("category", flat=True)),
            "inputs": field_rows(content.get("inputs", [])),
            "outputs": field_rows(content.get("outputs", [])),
            "versions": [{"row": version, "words": words} for version, words in shown],
            "current": current,
            "check": check_input(row, content, request.POST.get("input") if request.method == "POST" else None),
            "opts": self.opts,
            "has_view_permission": True,
            **self.admin_site.each_context(request),
            **(extra_context or {}),
        }
        return TemplateResponse(request, self.change_form_template, context)


def _web_address(url: str) -> str:
    """The address, "" where it is none that a picture may come from; providers can write anything."""
    return url if url.startswith(("https://", "http://")) else ""


def _tell(model_admin: admin.ModelAdmin, request: HttpRequest, result: SwitchResult, *, on: bool) -> None:
    word = "enabled" if on else "disabled"
    offered = [endpoint_id for endpoint_id in result.changed if endpoint_id not in result.held]
    if offered:
        what = offered[0] if len(offered) == 1 else f"{len(offered)} models"
        model_admin.message_user(request, f"{word.capitalize()}: {what}.", messages.SUCCESS)
    if result.held:
        first, words = next(iter(result.held.items()))
        more = f" and {len(result.held) - 1} more" if len(result.held) > 1 else ""
        model_admin.message_user(request, f"Not offered yet: {first}{more}. {words}", messages.WARNING)
    if result.unchanged and not offered:
        model_admin.message_user(request, f"{len(result.unchanged)} already {word}; nothing changed.", messages.INFO)
