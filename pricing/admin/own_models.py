"""Pages of models that are added by hand: added, changed, retired, removed; previewed before anything is saved."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import reverse
from django.views.decorators.http import require_POST

from catalog import own_models, published
from catalog.admin.field_rows import field_rows
from catalog.models import AIModel
from catalog.own_models import OwnModelError
from genfeed.journal.audit import Actor
from genfeed.journal.pages import posted_text
from pricing.admin.own_model_form import OwnModelForm, initial_of, pretty, with_schema
from pricing.prices.own_models import Preview, preview, save

_TEMPLATE = "admin/catalog/aimodel/own.html"


def add_page(request: HttpRequest) -> HttpResponse:
    """A form; with a preview of what it would make; then the model."""
    require(request, "catalog.add_aimodel")
    if request.method != "POST":
        return form_page(request, OwnModelForm())
    return _posted(request, None)


def change_page(request: HttpRequest, pk: int) -> HttpResponse:
    """The same for a model that is there."""
    require(request, "catalog.change_aimodel")
    row = _own_or_404(pk)
    if request.method != "POST":
        return form_page(request, OwnModelForm(row=row, initial=initial_of(row)), row=row)
    return _posted(request, row)


@require_POST
def act(request: HttpRequest, pk: int) -> HttpResponse:
    """Retires a model, brings it back, or removes it."""
    what, row = request.POST.get("do", ""), _own_or_404(pk)
    require(request, "catalog.delete_aimodel" if what == "remove" else "catalog.change_aimodel")
    actor, reason = Actor.of(request.user), posted_text(request)
    back = reverse("admin:catalog_aimodel_change", args=[pk])
    try:
        if what == "retire":
            own_models.retire(row, actor=actor, reason=reason)
            words = f"{row} is retired: nobody is offered it. Its jobs and figures stay."
        elif what == "bring_back":
            own_models.bring_back(row, actor=actor, reason=reason)
            words = f"{row} is back."
        elif what == "remove":
            own_models.remove(row, actor=actor, reason=reason)
            words, back = f"{row} is removed.", reverse("admin:catalog_aimodel_changelist")
        else:
            raise Http404
    except OwnModelError as error:
        messages.error(request, str(error))
    else:
        published.forget()
        messages.success(request, words)
    return HttpResponseRedirect(back)


def form_page(
    request: HttpRequest,
    form: OwnModelForm,
    *,
    row: AIModel | None = None,
    shown: Preview | None = None,
    notes: tuple[str, ...] = (),
) -> HttpResponse:
    """The page; `shown` is what saving would make, `notes` what a person should know of what is filled in already."""
    site = admin.site
    context: dict[str, Any] = {
        "title": f"Change {row.name}" if row else "Add a model by hand",
        "form": form,
        "row": row,
        "action": reverse("admin:own_model_change", args=[row.pk]) if row else reverse("admin:own_model_add"),
        "notes": notes,
        "categories": AIModel.objects.order_by("category").values_list("category", flat=True).distinct(),
        "opts": AIModel._meta,
        **site.each_context(request),
    }
    if shown:
        context |= {
            "shown": shown,
            "seal": form.seal(),
            "inputs": field_rows(shown.inputs),
            "outputs": field_rows(shown.outputs),
            "example": pretty(shown.example),
            "fixed": pretty(shown.fixed) if shown.fixed else "",
        }
    return TemplateResponse(request, _TEMPLATE, context)


def require(request: HttpRequest, permission: str) -> None:
    """Refuses who may not."""
    if not request.user.has_perm(permission):
        raise PermissionDenied


def _posted(request: HttpRequest, row: AIModel | None) -> HttpResponse:
    data, trouble = with_schema(request.POST)
    form = OwnModelForm(data, row=row)
    is_valid = form.is_valid()
    if trouble:
        form.add_error("schema_url", trouble)
        is_valid = False
    if not is_valid:
        return form_page(request, form, row=row)
    wanted, price, actor = form.wanted(), form.price(), Actor.of(request.user)
    if price:
        require(request, "pricing.decide_price")
    if price and price.rule:
        require(request, "pricing.decide_rule")
    try:
        if data.get("do") == "save" and form.was_shown(data.get("seal", "")):
            made = save(wanted, price, row=row, actor=actor, reason=form.cleaned_data["reason"])
            published.forget()
            messages.success(request, f"{'Changed' if row else 'Added'}: {made}.")
            return HttpResponseRedirect(reverse("admin:catalog_aimodel_change", args=[made.pk]))
        return form_page(request, form, row=row, shown=preview(wanted, price, row=row, actor=actor))
    except OwnModelError as error:
        form.add_error(_field_of(error, form), str(error))
        return form_page(request, form, row=row)


def _field_of(error: OwnModelError, form: OwnModelForm) -> str | None:
    """Where the form shows an error; None, at its top, where it has no such field."""
    if error.field == "schema" and form.cleaned_data.get("base"):
        return "base"
    return error.field if error.field in form.fields else None


def _own_or_404(pk: int) -> AIModel:
    own = AIModel.objects.select_related("provider").filter(origin=AIModel.Origin.MANUAL)
    return get_object_or_404(own, pk=pk)
