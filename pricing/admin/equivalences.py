"""Suggested and decided pairs of equivalent models."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.http import urlencode
from django.utils.safestring import SafeString
from django.views.decorators.http import require_POST

from catalog.models import AIModel
from genfeed.journal.audit import Actor
from genfeed.journal.pages import ReadOnlyAdmin, badge
from pricing.admin.addresses import BadAddressError, find_model
from pricing.admin.deciding import decide_each
from pricing.admin.existing import MAY_DECIDE
from pricing.existing.duplicates import DecisionError, confirm, link, refresh_suggestions, reject
from pricing.models import Equivalence

_LOOKS = {"suggested": "warn", "confirmed": "good", "rejected": ""}


class LinkForm(forms.Form):
    """Two models by `provider:id`, and why they are one."""

    one = forms.CharField(max_length=310)
    other = forms.CharField(max_length=310)
    reason = forms.CharField(max_length=300)


@admin.register(Equivalence)
class EquivalenceAdmin(ReadOnlyAdmin):
    list_display = ["pair", "score", "why", "standing", "decided_by"]
    list_display_links = None
    list_filter = ["state"]
    list_select_related = ["left__provider", "right__provider"]
    list_per_page = 50
    show_full_result_count = False
    search_fields = ["left__endpoint_id", "right__endpoint_id"]
    search_help_text = "Words in one of the ids."
    actions = ["confirm_selected", "reject_selected"]
    change_list_template = "admin/pricing/equivalence/list.html"

    @admin.display(description="models", ordering="left__endpoint_id")
    def pair(self, pair: Equivalence) -> SafeString:
        return format_html("{}<br>≈ {}", _linked(pair.left), _linked(pair.right))

    @admin.display(description="reason")
    def why(self, pair: Equivalence) -> SafeString:
        return format_html('<div class="gf-sentence">{}</div>', pair.reason)

    @admin.display(description="state", ordering="state")
    def standing(self, pair: Equivalence) -> SafeString:
        return badge(pair.state, _LOOKS[pair.state], pair.get_state_display())

    @admin.action(description="Confirm: they are the same model", permissions=["decide"])
    def confirm_selected(self, request: HttpRequest, queryset: QuerySet[Equivalence]) -> None:
        self._decide_all(request, queryset, confirming=True)

    @admin.action(description="Reject: they are not the same", permissions=["decide"])
    def reject_selected(self, request: HttpRequest, queryset: QuerySet[Equivalence]) -> None:
        self._decide_all(request, queryset, confirming=False)

    def has_decide_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm(MAY_DECIDE)

    def _decide_all(self, request: HttpRequest, queryset: QuerySet[Equivalence], *, confirming: bool) -> None:
        actor, decide = Actor.of(request.user), confirm if confirming else reject
        decide_each(
            self, request, queryset.order_by("pk"), lambda pair: decide(pair, actor=actor),
            refusal=DecisionError, done="confirmed" if confirming else "rejected",
        )  # fmt: skip

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        context = {"may_decide": self.has_decide_permission(request), **(extra_context or {})}
        return super().changelist_view(request, context)

    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, *args: Any, **more: Any
    ) -> HttpResponse:
        """A pair has no page of its own; the list says all of it."""
        pair = self.get_object(request, object_id or "")
        if pair is None or not self.has_view_permission(request):
            raise Http404
        url = reverse("admin:pricing_equivalence_changelist")
        return HttpResponseRedirect(f"{url}?{urlencode({'q': pair.left.endpoint_id})}")

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        own = [
            path("look/", view(require_POST(self.look)), name="pricing_equivalence_look"),
            path("link/", view(require_POST(self.link)), name="pricing_equivalence_link"),
        ]
        return own + super().get_urls()

    def look(self, request: HttpRequest) -> HttpResponse:
        """Looks for pairs again."""
        if not self.has_decide_permission(request):
            raise PermissionDenied
        found = refresh_suggestions()
        self.message_user(request, f"{len(found.new)} new pairs suggested, {found.gone} fell away.", messages.SUCCESS)
        return HttpResponseRedirect(reverse("admin:pricing_equivalence_changelist"))

    def link(self, request: HttpRequest) -> HttpResponse:
        """Links two models that a person names."""
        if not self.has_decide_permission(request):
            raise PermissionDenied
        form = LinkForm(request.POST)
        try:
            if not form.is_valid():
                raise DecisionError("Name both models and say why they are the same.")
            one, other = find_model(form.cleaned_data["one"]), find_model(form.cleaned_data["other"])
            pair = link(one, other, actor=Actor.of(request.user), reason=form.cleaned_data["reason"])
            self.message_user(request, f"Linked: {pair}.", messages.SUCCESS)
        except (DecisionError, BadAddressError) as error:
            self.message_user(request, str(error), messages.ERROR)
        return HttpResponseRedirect(reverse("admin:pricing_equivalence_changelist"))


def _linked(row: AIModel) -> SafeString:
    url = reverse("admin:catalog_aimodel_change", args=[row.pk])
    return format_html('<a href="{}">{}:{}</a>', url, row.provider.slug, row.endpoint_id)
