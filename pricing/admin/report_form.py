"""What a report is asked for: period, group and filters, from the address."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django import forms

from catalog.models import AIModel, Provider
from genfeed.clients.models import Client
from pricing.admin.addresses import BadAddressError, find_model
from pricing.reports.questions import GROUPS, MOST_DAYS, Question, today
from pricing.reports.report import BINS, ORDERS

PERIODS = {
    "today": "today",
    "7": "last 7 days",
    "30": "last 30 days",
    "month": "this month",
    "last_month": "last month",
    "90": "last 90 days",
    "months": "last 12 months",
    "days": "the days below",
}


class ReportForm(forms.Form):
    period = forms.ChoiceField(choices=list(PERIODS.items()), required=False)
    first = forms.DateField(label="from", required=False, widget=forms.DateInput(attrs={"type": "date"}))
    last = forms.DateField(label="to", required=False, widget=forms.DateInput(attrs={"type": "date"}))
    by = forms.ChoiceField(label="by", choices=[(name, name) for name in GROUPS], required=False)
    order = forms.ChoiceField(label="sorted by", choices=[(name, name) for name in ORDERS], required=False)
    provider = forms.ChoiceField(required=False)
    category = forms.ChoiceField(required=False)
    client = forms.ModelChoiceField(Client.customers.all(), required=False, empty_label="all")
    model = forms.CharField(max_length=255, required=False, widget=forms.TextInput(attrs={"placeholder": "all"}))
    bin = forms.TypedChoiceField(
        coerce=int, choices=[(n, n) for n in range(len(BINS))], required=False, widget=forms.HiddenInput
    )

    def __init__(self, data: Any) -> None:
        super().__init__({**{"period": "30", "by": "model", "order": "revenue"}, **data.dict()})
        providers = Provider.objects.order_by("slug").values_list("slug", "name")
        categories = AIModel.objects.order_by("category").values_list("category", flat=True).distinct()
        self.choice("provider").choices = [("", "all"), *providers]
        self.choice("category").choices = [("", "all"), *((name, name) for name in categories if name)]

    def choice(self, name: str) -> Any:
        return self.fields[name]

    def clean_model(self) -> AIModel | None:
        address = self.cleaned_data["model"]
        try:
            return find_model(address) if address else None
        except BadAddressError as error:
            raise forms.ValidationError(str(error)) from None

    def clean(self) -> dict[str, Any]:
        said = super().clean() or {}
        now = today()
        first, last = said.get("first"), said.get("last")
        period = said.get("period") or "30"
        if period == "today":
            first = last = now
        elif period.isdigit():
            first, last = now - timedelta(days=int(period) - 1), now
        elif period == "month":
            first, last = now.replace(day=1), now
        elif period == "last_month":
            last = now.replace(day=1) - timedelta(days=1)
            first = last.replace(day=1)
        elif period == "months":
            first, last = (now.replace(day=1) - timedelta(days=330)).replace(day=1), now
        if first is None or last is None:
            raise forms.ValidationError("Say from which day to which, or choose a period.")
        if first > last or (last - first).days >= MOST_DAYS or first.year < 2000 or last.year > 2200:
            raise forms.ValidationError(f"Choose days in their order, at most {MOST_DAYS} of them.")
        return said | {"first": first, "last": last}

    @property
    def question(self) -> Question:
        said = self.cleaned_data
        return Question(
            said["first"],
            said["last"],
            provider=said["provider"],
            category=said["category"],
            model_id=said["model"].pk if said["model"] else None,
            client_id=said["client"].pk if said["client"] else None,
        )
