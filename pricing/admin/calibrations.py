"""Calibrations in the admin: planned, observed, proposed, decided."""

from typing import Any

import orjson
from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.safestring import SafeString
from django.views.decorators.http import require_POST

from catalog import published
from catalog.schemas.examples import example_input
from genfeed.journal.audit import Actor
from genfeed.journal.pages import ReadOnlyAdmin, badge, posted_text
from pricing.admin.addresses import BadAddressError, find_model
from pricing.calibration.runs import CalibrationError, accept, plan, proposal_of, record_observation, reject, runs_left
from pricing.estimates.facts import load_facts
from pricing.models import Calibration
from pricing.money import NotMoney, format_usd, parse_usd

_LOOKS = {"proposed": "warn", "accepted": "good", "rejected": ""}


class PlanForm(forms.Form):
    model = forms.CharField(max_length=310, label="Model", help_text="Its id, or provider:id.")
    inputs = forms.CharField(label="Inputs", help_text="A JSON list; each entry is run once and costs money.")


@admin.register(Calibration)
class CalibrationAdmin(ReadOnlyAdmin):
    list_display = ["model", "standing", "runs", "proposed", "created_by", "created_at", "decided_by"]
    list_filter = ["state"]
    list_select_related = ["model"]
    search_fields = ["model__endpoint_id"]
    change_list_template = "admin/pricing/calibration/list.html"
    change_form_template = "admin/pricing/calibration/page.html"

    @admin.display(description="state", ordering="state")
    def standing(self, row: Calibration) -> SafeString:
        return badge(row.get_state_display(), _LOOKS.get(row.state, ""))

    @admin.display(description="runs")
    def runs(self, row: Calibration) -> str:
        return f"{len(row.observations)} of {len(row.inputs)}"

    @admin.display(description="proposed price")
    def proposed(self, row: Calibration) -> str:
        return f"{row.proposed_price} USD per {row.proposed_unit}" if row.proposed_price else ""

    def may_plan(self, request: HttpRequest) -> bool:
        return request.user.has_perm("pricing.add_calibration")

    def may_decide(self, request: HttpRequest) -> bool:
        return request.user.has_perm("pricing.change_calibration")

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        return super().changelist_view(request, {"may_plan": self.may_plan(request), **(extra_context or {})})

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        own = [
            path("plan/", view(self.plan_page), name="pricing_calibration_plan"),
            path("<int:pk>/decide/", view(require_POST(self.decide)), name="pricing_calibration_decide"),
        ]
        return own + super().get_urls()

    def plan_page(self, request: HttpRequest) -> HttpResponse:
        """The form of a new calibration; with `?model=` an example input is filled in."""
        if not self.may_plan(request):
            raise PermissionDenied
        error = ""
        typed = request.POST if request.method == "POST" else _example(request.GET.get("model", ""))
        if request.method == "POST":
            try:
                made = _plan(PlanForm(request.POST), Actor.of(request.user))
            except (CalibrationError, BadAddressError) as trouble:
                error = str(trouble)
            else:
                self.message_user(request, f"Planned: {len(made.inputs)} runs of {made.model}.", messages.SUCCESS)
                return HttpResponseRedirect(reverse("admin:pricing_calibration_change", args=[made.pk]))
        context = {
            "title": "Plan a calibration",
            "model": typed.get("model", ""),
            "inputs": typed.get("inputs", ""),
            "error": error,
            "opts": self.opts,
            **self.admin_site.each_context(request),
        }
        return TemplateResponse(request, "admin/pricing/calibration/plan.html", context)

    def decide(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Records a run by hand, accepts the proposed price, or ends the calibration: whichever button was pressed."""
        if not self.may_decide(request):
            raise PermissionDenied
        row = get_object_or_404(Calibration, pk=pk)
        actor, what = Actor.of(request.user), request.POST.get("do", "")
        try:
            if what == "accept":
                point = accept(row, actor=actor)
                published.forget()
                self.message_user(request, f"Accepted: {point}.", messages.SUCCESS)
            elif what == "reject":
                reject(row, actor=actor, reason=posted_text(request))
                self.message_user(request, "Ended without a price.", messages.SUCCESS)
            elif what == "observe":
                _observe(row, request)
                self.message_user(request, "Recorded.", messages.SUCCESS)
        except (CalibrationError, NotMoney) as error:
            self.message_user(request, str(error), messages.ERROR)
        return HttpResponseRedirect(reverse("admin:pricing_calibration_change", args=[pk]))

    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        row = self.get_object(request, object_id or "")
        if row is None:
            raise Http404
        proposal, refusal = None, ""
        try:
            proposal = proposal_of(row)
        except CalibrationError as error:
            refusal = str(error)
        is_open = row.state in (Calibration.State.PLANNED, Calibration.State.RUNNING, Calibration.State.PROPOSED)
        context = {
            "title": f"Calibration of {row.model.name}",
            "row": row,
            "left": [(number, _text(value)) for number, value in enumerate(runs_left(row))],
            "observations": [
                seen | {"shown": _text(seen["input"]), "usd": format_usd(seen["cost"])} for seen in row.observations
            ],
            "observed": {seen.get("job") for seen in row.observations},
            "proposal": proposal,
            "refusal": refusal,
            "is_open": is_open,
            "may_decide": self.may_decide(request) and is_open,
            "opts": self.opts,
            **self.admin_site.each_context(request),
            **(extra_context or {}),
        }
        return TemplateResponse(request, self.change_form_template, context)


def _plan(form: PlanForm, actor: Actor) -> Calibration:
    if not form.is_valid():
        raise CalibrationError("Name a model and give a JSON list of inputs.")
    try:
        inputs = orjson.loads(form.cleaned_data["inputs"])
    except orjson.JSONDecodeError as error:
        raise CalibrationError(f"The inputs are no JSON: {error}") from None
    return plan(find_model(form.cleaned_data["model"]), inputs, actor=actor)


def _observe(row: Calibration, request: HttpRequest) -> None:
    left = runs_left(row)
    number = posted_text(request, "run")
    if not (number.isascii() and number.isdigit() and len(number) < 4 and int(number) < len(left)):
        raise CalibrationError("Choose which of the planned inputs was run.")
    record_observation(
        row,
        input=left[int(number)],
        units=posted_text(request, "units") or "1",
        unit=posted_text(request, "unit")[:60],
        cost_nano=parse_usd(posted_text(request, "cost"), what="cost"),
        actor=Actor.of(request.user),
    )


def _example(address: str) -> dict[str, str]:
    """What the form starts with for a model: its example input three times, to be varied."""
    try:
        facts = next(load_facts([find_model(address).pk]))
    except BadAddressError:
        return {"model": address}
    return {"model": address, "inputs": _text([example_input(facts.inputs)] * 3)}


def _text(value: Any) -> str:
    return orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()
